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
exit 0
