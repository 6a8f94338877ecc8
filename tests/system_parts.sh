#!/bin/sh
# What some tests need beyond Python: installed where that may be done (as root, with apt), else
# those tests are skipped and say what they miss (in CI they fail).
set -u
cd "$(dirname "$0")/.."

missing=""
for part in soffice:libreoffice-calc cc:gcc cc:libc6-dev curl:curl npm:npm chromium:chromium; do
    command -v "${part%%:*}" > /dev/null || missing="$missing ${part#*:}"
done
# Chinese in screenshots.
if command -v apt-get > /dev/null; then
    fc-list 2> /dev/null | grep -q "Noto.*CJK" || missing="$missing fonts-noto-cjk"
fi
# Card readers: the daemon, a virtual reader, a token, and what pyscard is built with.
for part in /usr/sbin/pcscd:pcscd softhsm2-util:softhsm2 swig:swig unshare:util-linux; do
    command -v "${part%%:*}" > /dev/null || missing="$missing ${part#*:}"
done
[ -e /usr/lib/pcsc/drivers/serial/libifdvpcd.so ] || missing="$missing vsmartcard-vpcd"
[ -e /usr/include/PCSC/winscard.h ] || missing="$missing libpcsclite-dev"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        echo "installing$missing"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086
        { apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing; } \
            > /dev/null || echo "could not install$missing: their tests will say so"
    else
        echo "not here:$missing: the tests that need them will say so"
    fi
fi

# The Node clients that contract tests send with.
if command -v npm > /dev/null; then
    npm install --silent --no-package-lock --prefix tests/node_clients --no-audit --no-fund \
        || echo "could not install the Node clients: their tests will say so"
fi

# pyscard is built from its source, with the parts above.
if [ -x .venv/bin/pip ]; then
    .venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[card]' \
        || echo "could not install pyscard and python-pkcs11: the tests of cards will say so"
fi
exit 0
