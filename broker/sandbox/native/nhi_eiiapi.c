/*
 * A stand-in for NHI's nhi_eiiapi.dll and csHis.dll, for tests and rehearsals only.
 *
 * The same functions, parameters and return codes (NHI, EII API simple edition, 103.3.26, pp. 3-8;
 * control software manual 5.1.3), but it talks to the stand-in gateway of labbroker and signs
 * nothing. What the real library takes as the path of Reader.dll is here a text file:
 *
 *     HOST PORT INSTITUTION
 *
 * Beside it may lie a file with the same name and ".fault": one word that the next call meets and
 * takes away: crash-before, crash-after, block-before, block-after (a window that waits for a
 * click), or a number (that code is returned before anything leaves) or number-after.
 *
 * cc -shared -fPIC -o libnhi_eiiapi.so nhi_eiiapi.c
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DONE = 0, NO_READER = 5002, BAD_NAME = 5003, BUSY = 5004, NO_FOLDER = 5007, NO_INSTITUTION = 5008,
    CUT = 5021, WAITING = 5022, NO_SUCH_CASE = 5023, NO_FILE = 5024, NO_CONNECTION = 5028, FAULT = 9999
};
#define LARGEST (64L << 20)

struct reader { char host[64]; int port; char institution[11]; };

static char last_reader[1024];

static int read_reader(const char *path, struct reader *reader)
{
    FILE *file = fopen(path, "r");
    if (!file) return NO_READER;
    int found = fscanf(file, "%63s %d %10s", reader->host, &reader->port, reader->institution);
    fclose(file);
    snprintf(last_reader, sizeof last_reader, "%s", path);
    return found == 3 ? DONE : NO_READER;
}

/* The code that an ordered fault returns now, or -1. */
static int meet_fault(const char *reader_path, int after)
{
    char path[1100], word[32] = "";
    snprintf(path, sizeof path, "%s.fault", reader_path);
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    if (fscanf(file, "%31s", word) != 1) word[0] = 0;
    fclose(file);
    int is_after = strstr(word, "-after") != NULL;
    if (is_after != after) return -1;
    unlink(path);
    if (!strncmp(word, "crash", 5)) {
        volatile int *nowhere = NULL;
        *nowhere = 1;
    }
    if (!strncmp(word, "block", 5)) for (;;) pause();
    return atoi(word);
}

static char *read_file(const char *path, long *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = ftell(file);
    rewind(file);
    char *bytes = *size < LARGEST ? malloc(*size + 1) : NULL;
    if (bytes && fread(bytes, 1, *size, file) != (size_t)*size) { free(bytes); bytes = NULL; }
    fclose(file);
    if (bytes) bytes[*size] = 0;
    return bytes;
}

static int send_all(int channel, const char *bytes, long size)
{
    while (size > 0) {
        ssize_t sent = send(channel, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        bytes += sent;
        size -= sent;
    }
    return 1;
}

/* One HTTP request. Returns the status, 0 when nothing was connected, -1 when it was cut. */
static int exchange(const struct reader *reader, const char *method, const char *target,
                    const char *body, long body_size, char **answer, long *answer_size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(reader->port)};
    char head[512];
    *answer = NULL;
    if (inet_pton(AF_INET, reader->host, &address.sin_addr) != 1) return 0;
    int channel = socket(AF_INET, SOCK_STREAM, 0);
    if (channel < 0) return 0;
    if (connect(channel, (struct sockaddr *)&address, sizeof address)) { close(channel); return 0; }
    snprintf(head, sizeof head,
             "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %ld\r\n\r\n",
             method, target, reader->host, body_size);
    send_all(channel, head, strlen(head));
    send_all(channel, body, body_size);
    char *raw = malloc(LARGEST);
    long size = 0;
    ssize_t got = 0;
    while (raw && size < LARGEST - 1 && (got = recv(channel, raw + size, LARGEST - 1 - size, 0)) > 0)
        size += got;
    close(channel);
    int status = 0;
    char *end = NULL;
    if (raw) {
        raw[size] = 0;
        end = strstr(raw, "\r\n\r\n");
    }
    if (!end || sscanf(raw, "HTTP/1.1 %d", &status) != 1) { free(raw); return -1; }
    *answer_size = size - (end + 4 - raw);
    *answer = malloc(*answer_size + 1);
    memcpy(*answer, end + 4, *answer_size);
    (*answer)[*answer_size] = 0;
    free(raw);
    return status;
}

/* The last 12 digits of the gateway's number. */
static int take_ids(const char *answer, const char *field, char *local_id, char *nhi_id)
{
    const char *place = strstr(answer, field);
    if (!place) return FAULT;
    place += strlen(field);
    size_t digits = strspn(place, "0123456789");
    if (digits < 12 || place[digits] != '"') return FAULT;
    memcpy(nhi_id, place + digits - 12, 12);
    snprintf(local_id, 13, "NHI_%.8s", place + digits - 8);
    return DONE;
}

static int deliver(const char *reader_path, const char *file_path, const char *type, char *local_id,
                   char *nhi_id, int upload)
{
    struct reader reader;
    char target[512], *answer;
    long size, answer_size;
    int code = read_reader(reader_path, &reader);
    if (code) return code;
    if ((code = meet_fault(reader_path, 0)) >= 0) return code;
    if (strcmp(type, "26")) return 500;
    const char *name = strrchr(file_path, '/') ? strrchr(file_path, '/') + 1 : file_path;
    if (strncmp(name, reader.institution, 10)) return BAD_NAME;
    char *body = read_file(file_path, &size);
    if (!body) return 5001;
    snprintf(target, sizeof target, "/eii/%s?name=%s&institution=%s",
             upload ? "packages" : "requests", name, reader.institution);
    int status = exchange(&reader, "POST", target, body, size, &answer, &answer_size);
    free(body);
    if (status == 0) return NO_CONNECTION;
    if (status < 0) return CUT;
    printf("status %d\n", status); /* as chatty as the real one may be */
    fflush(stdout);
    if ((code = meet_fault(reader_path, 1)) >= 0) { free(answer); return code; }
    if (status == 503) code = BUSY;
    else if (status == 201) code = take_ids(answer, upload ? "\"receipt_number\": \"" : "\"request\": \"",
                                            local_id, nhi_id);
    else if (status >= 400 && status < 500) code = strstr(answer, "\"taken\": false") ? BAD_NAME : FAULT;
    else code = FAULT;
    free(answer);
    return code;
}

int NHI_SendB(int port, char *reader_path, char *file_path, char *type, char *local_id, char *nhi_id)
{
    (void)port;
    return deliver(reader_path, file_path, type, local_id, nhi_id, 1);
}

int NHI_DownloadB(int port, char *reader_path, char *file_path, char *type, char *local_id, char *nhi_id)
{
    (void)port;
    return deliver(reader_path, file_path, type, local_id, nhi_id, 0);
}

int NHI_GetB(int port, char *reader_path, char *local_id, char *nhi_id, char *folder)
{
    struct reader reader;
    struct stat found;
    char target[256], path[1200], *answer;
    long answer_size;
    (void)port;
    (void)local_id;
    int code = read_reader(reader_path, &reader);
    if (code) return code;
    if ((code = meet_fault(reader_path, 0)) >= 0) return code;
    if (stat(folder, &found) || !S_ISDIR(found.st_mode)) return NO_FOLDER;
    snprintf(target, sizeof target, "/eii/requests/%.12s?institution=%s", nhi_id, reader.institution);
    int status = exchange(&reader, "GET", target, "", 0, &answer, &answer_size);
    if (status == 0) return 8218;
    if (status < 0) return CUT;
    if ((code = meet_fault(reader_path, 1)) >= 0) { free(answer); return code; }
    if (status == 202) code = WAITING;
    else if (status == 404) code = NO_SUCH_CASE;
    else if (status == 503) code = BUSY;
    else if (status != 200) code = FAULT;
    else {
        snprintf(path, sizeof path, "%s/%.12s.zip", folder, nhi_id);
        FILE *file = fopen(path, "wb");
        code = file && fwrite(answer, 1, answer_size, file) == (size_t)answer_size ? DONE : NO_FILE;
        if (file) fclose(file);
    }
    free(answer);
    return code;
}

/* The control software asks the same reader; its port number is all that it is given. */
int csOpenCom(int port) { (void)port; return 0; }
int csCloseCom(void) { return 0; }

int csGetHospID(char *institution, int *length)
{
    struct reader reader;
    const char *path = getenv("EII_STAND_IN_READER");
    if (read_reader(path ? path : last_reader, &reader)) return 5006;
    memcpy(institution, reader.institution, 10);
    *length = 10;
    return DONE;
}
