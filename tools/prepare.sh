#!/bin/sh
# What the Makefile needs from the system, and what to do where it is missing.
#   tools/prepare.sh venv PYTHON FOLDER    make a virtual environment
#   tools/prepare.sh programs NAME...      see that Debian packages with these programs are installed
set -eu

say() { printf '%s\n' "$*" >&2; }

# Install Debian packages if we may; otherwise say exactly what to run.
install() {
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif sudo -n true 2>/dev/null; then as_root="sudo -n"
    else as_root=refused; fi
    if [ "$as_root" = refused ] || ! command -v apt-get >/dev/null; then
        say "Missing: $*"
        say "Install it and try again:  sudo apt-get install $*"
        exit 1
    fi
    say "Installing $* ..."
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

case "$1" in
venv)
    python=$2 folder=$3
    if ! command -v "$python" >/dev/null; then
        say "$python was not found. Counterfoil needs Python 3.11 or newer; name yours with: make PYTHON=/path/to/python3"
        exit 1
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        say "$python is $("$python" -V 2>&1); Counterfoil needs 3.11 or newer. Name another with: make PYTHON=python3.11"
        exit 1
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
    "$python" -m venv "$folder"
    ;;
programs)
    shift
    missing=""
    for program in "$@"; do
        # The Debian packages are named like their programs.
        command -v "$program" >/dev/null || missing="$missing $program"
    done
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install $missing
    ;;
esac
