#!/bin/sh
# Runs tests/it/auth/bus.rs against a real Secret Service. Fails if that is impossible, instead of skipping tests.
# Each part has its own session bus; the user's own keyring is not touched.
set -eu
cd "$(dirname "$0")/.."

missing=
need() {
    command -v "$1" >/dev/null || missing="$missing $2"
}
need dbus-run-session dbus-daemon
need dbus-test-tool dbus-tests
need busctl systemd
need gnome-keyring-daemon gnome-keyring
need secret-tool libsecret-tools
if [ -n "$missing" ]; then
    echo "tests/keyring.sh: install$missing (Debian's names)" >&2
    exit 1
fi

tests=${KEYRING_TESTS:-}
if [ -z "$tests" ]; then
    tests=$(cargo test --test it --no-run 2>&1 | sed -n 's/.*(\(.*\/it-[0-9a-f]*\))$/\1/p')
fi
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

# A bus without service activation, so that only the services started here respond.
cat >"$home/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=$home</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
END

# on_bus FILTER SETUP: runs the tests that match FILTER after SETUP, which returns 0 once its service is ready.
on_bus() {
    echo "== $1"
    env -u DISPLAY -u WAYLAND_DISPLAY -u XDG_RUNTIME_DIR HOME="$home" XDG_DATA_HOME="$home/data" HAUL_TEST_BUS=1 \
        TESTS="$tests" FILTER="$1" \
        dbus-run-session --config-file="$home/bus.conf" -- sh -euc '
        # A service may need a moment to acquire its name.
        wait_for() {
            for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
                "$@" >/dev/null 2>&1 && return
                sleep 0.2
            done
            echo "tests/keyring.sh: this failed: $*" >&2
            exit 1
        }
        '"$2"'
        out=$("$TESTS" --ignored --test-threads=1 "$FILTER" 2>&1) || { echo "$out"; exit 1; }
        echo "$out" | grep "^test "
        # A filter that matches no test would also pass.
        echo "$out" | grep -q "test result: ok. [1-9]"'
}

unlocked='
    mkdir -p "$XDG_DATA_HOME"
    printf "password" | gnome-keyring-daemon --unlock --components=secrets >/dev/null
    wait_for busctl --user status org.freedesktop.secrets
    wait_for secret-tool store --label ready service ready </dev/null'
on_bus auth::bus::service_ "$unlocked"
on_bus auth::bus::locked_ "$unlocked"
on_bus auth::bus::absent_ '
    if busctl --user status org.freedesktop.secrets >/dev/null 2>&1; then exit 1; fi'
on_bus auth::bus::silent_ '
    dbus-test-tool black-hole --name=org.freedesktop.secrets &
    trap "kill $!" EXIT
    wait_for busctl --user status org.freedesktop.secrets'
on_bus auth::bus::kernel_ ':'
echo "keyring tests passed"
