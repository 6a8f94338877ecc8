/* A PKCS#11 library in front of SoftHSM: it counts each C_Login, locks the token after three wrong
 * PINs as a card does (SoftHSM never does), and fails on demand.
 *
 * COUNTING_TOKEN_MODULE   the library behind it
 * COUNTING_TOKEN_FOLDER   holds "calls" (a byte for each C_Login), "wrong" (a byte for each wrong
 *                         PIN since the last right one) and, put there by a test: "absent" (no
 *                         card), "hang" (C_Login never ends), "crash" (the process dies after the
 *                         PIN was verified)
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;
typedef struct {
    unsigned char version[2];
    void *functions[68];
} CK_FUNCTION_LIST;
typedef struct {
    unsigned char label[32], manufacturer[32], model[16], serial[16];
    CK_ULONG flags;
} TOKEN_INFO_HEAD;

/* Places in CK_FUNCTION_LIST (PKCS#11 v2.40, 5). */
enum { GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18, FIND_INIT = 26,
       SIGN_INIT = 42 };
enum { CKR_OK = 0, CKR_DEVICE_REMOVED = 0x32, CKR_PIN_INCORRECT = 0xA0, CKR_PIN_LOCKED = 0xA4,
       CKR_TOKEN_NOT_PRESENT = 0xE0 };
enum { COUNT_LOW = 0x10000, FINAL_TRY = 0x20000, LOCKED = 0x40000 };
#define MOST_WRONG 3

static CK_FUNCTION_LIST ours;
static CK_FUNCTION_LIST *theirs;

static void path_of(const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", getenv("COUNTING_TOKEN_FOLDER"), name);
}

static long size_of(const char *name) {
    char path[4096];
    struct stat found;
    path_of(name, path, sizeof path);
    return stat(path, &found) == 0 ? (long)found.st_size : -1;
}

static void append(const char *name) {
    char path[4096];
    path_of(name, path, sizeof path);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(file, "x", 1) != 1) abort();
    close(file);
}

static void empty(const char *name) {
    char path[4096];
    path_of(name, path, sizeof path);
    unlink(path);
}

static long wrong(void) {
    long count = size_of("wrong");
    return count < 0 ? 0 : count;
}

static CK_RV login(CK_ULONG session, CK_ULONG user, unsigned char *pin, CK_ULONG length) {
    append("calls");
    while (size_of("hang") >= 0) usleep(20000);
    if (wrong() >= MOST_WRONG) return CKR_PIN_LOCKED;
    CK_RV (*next)(CK_ULONG, CK_ULONG, unsigned char *, CK_ULONG) = theirs->functions[LOGIN];
    CK_RV result = next(session, user, pin, length);
    if (result == CKR_PIN_INCORRECT) append("wrong");
    if (result == CKR_OK) empty("wrong");
    if (size_of("crash") >= 0) _exit(70);
    return result;
}

static CK_RV token_info(CK_ULONG slot, TOKEN_INFO_HEAD *info) {
    if (size_of("absent") >= 0) return CKR_TOKEN_NOT_PRESENT;
    CK_RV (*next)(CK_ULONG, TOKEN_INFO_HEAD *) = theirs->functions[GET_TOKEN_INFO];
    CK_RV result = next(slot, info);
    if (result != CKR_OK) return result;
    info->flags &= ~(CK_ULONG)(COUNT_LOW | FINAL_TRY | LOCKED);
    if (wrong() >= MOST_WRONG) info->flags |= LOCKED;
    else if (wrong() == MOST_WRONG - 1) info->flags |= FINAL_TRY;
    else if (wrong() > 0) info->flags |= COUNT_LOW;
    return result;
}

static CK_RV slot_list(unsigned char present, CK_ULONG *slots, CK_ULONG *count) {
    if (present && size_of("absent") >= 0) {
        *count = 0;
        return CKR_OK;
    }
    CK_RV (*next)(unsigned char, CK_ULONG *, CK_ULONG *) = theirs->functions[GET_SLOT_LIST];
    return next(present, slots, count);
}

static CK_RV sign_init(CK_ULONG session, void *mechanism, CK_ULONG key) {
    if (size_of("absent") >= 0) return CKR_DEVICE_REMOVED;
    CK_RV (*next)(CK_ULONG, void *, CK_ULONG) = theirs->functions[SIGN_INIT];
    return next(session, mechanism, key);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) {
    if (theirs == NULL) {
        void *library = dlopen(getenv("COUNTING_TOKEN_MODULE"), RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) return 5;
        CK_RV (*get)(CK_FUNCTION_LIST **) = dlsym(library, "C_GetFunctionList");
        if (get == NULL || get(&theirs) != CKR_OK) return 5;
        ours = *theirs;
        ours.functions[LOGIN] = login;
        ours.functions[GET_TOKEN_INFO] = token_info;
        ours.functions[GET_SLOT_LIST] = slot_list;
        ours.functions[SIGN_INIT] = sign_init;
    }
    *list = &ours;
    return CKR_OK;
}
