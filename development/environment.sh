#!/bin/sh
# Makes the virtual environment that the Makefile works with, and only when something has changed.
#
# usage: environment.sh python              prints the interpreter that is chosen
#        environment.sh runtime|development makes the environment, with or without the development tools
#        environment.sh airflow             makes one with a certain version of Airflow, and what tests/versions needs
#        environment.sh stores              makes one with the libraries and emulators of object stores for tests/stores
#
# AIRFLOW that version; "lowest" for the lowest versions of all that pyproject.toml names
# PYTHON  the interpreter to take; else that of the environment that is there, or the first one that fits
# VENV    where the environment is; else .venv

set -eu

VENV=${VENV:-.venv}
PYTHON=${PYTHON:-}
AIRFLOW=${AIRFLOW:-}
# What tests/versions needs beside the provider.
VERSIONS_TOOLS='pytest>=9 pytest-asyncio>=1.5 pytest-timeout>=2.4 pytest-xdist>=3.8'
# What tests/stores needs beside Airflow and the provider. constraints.txt rules them out: botocore wants an older
# python-dateutil, Google's libraries an older tenacity.
STORES_LIBRARIES='apache-airflow-providers-amazon[s3fs] gcsfs adlfs'
# The drivers of warehouses that cannot be run on a developer's machine.
STORES_DRIVERS='google-cloud-bigquery apache-airflow-providers-databricks'
# Of these two only the file systems are used. All that they depend on has 1.5 GB, and takes a minute and a half; what
# follows is what Airflow loads of them.
STORES_PROVIDERS='apache-airflow-providers-google apache-airflow-providers-microsoft-azure'
STORES_LOADED='google-api-python-client google-auth-httplib2 google-cloud-secret-manager gcloud-aio-storage msrest
    msrestazure'
STORES_EMULATORS='moto[s3,server]>=5.2 gcp-storage-emulator>=2026.7'
AZURITE='azurite@3.37'
SUPPORTED='Python 3.10, 3.11, 3.12, 3.13 or 3.14'

say() { printf '%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Commands that are on the PATH need not run (pyenv has such), so each is tried.
fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

choose() {
    if [ -n "$PYTHON" ]; then
        if fits "$PYTHON"; then
            say "$PYTHON"
            return
        fi
        version=$("$PYTHON" --version 2>/dev/null | head -n 1) || true
        fail "PYTHON=$PYTHON cannot be used (${version:-it does not run}); this project needs $SUPPORTED"
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
        if fits "$candidate"; then
            say "$candidate"
            return
        fi
    done
    fail "found no $SUPPORTED on the PATH; install one, or name it: make PYTHON=/path/to/python3.12"
}

# What tells one interpreter from another; the same for an environment made from it.
identity() {
    "$1" -c 'import sys; print(sys.version.split()[0], sys.base_prefix)'
}

# The environment is kept as long as it runs here and is made from the interpreter asked for, if any.
is_usable() {
    [ -f "$VENV/made" ] && fits "$VENV/bin/python" || return 1
    [ "$(cat "$VENV/made")" = "$(identity "$VENV/bin/python") $PWD" ] || return 1
    [ -z "$PYTHON" ] || [ "$(identity "$PYTHON")" = "$(identity "$VENV/bin/python")" ]
}

make_environment() {
    python=$(choose)
    if [ -e "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ]; then
        # Making the environment empties the folder.
        [ -z "$(ls -A "$VENV")" ] || fail "$VENV is in the way: it is no virtual environment"
    fi
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || fail "Python $version here cannot make virtual" \
        "environments. On Debian and Ubuntu: apt-get install python$version-venv." \
        "Elsewhere install the part of Python that holds venv and ensurepip."
    say "Making $VENV with Python $version ..."
    "$python" -m venv --clear "$VENV" || fail "\"$python -m venv $VENV\" failed"
    say "$(identity "$VENV/bin/python") $PWD" >"$VENV/made"
}

checksum() { cat pyproject.toml constraints.txt | cksum; }

# $1: level; $2: what to install; $3: for the reader
install() {
    say "Installing $3 into $VENV. The first time this takes one to three minutes ..."
    rm -f "$VENV/installed-$1"
    # A user's pip.conf counts, but for installing into the home folder, which no environment can.
    # Only errors are shown: a further index that lacks a package is worth a warning for each.
    PIP_USER=0 "$VENV/bin/python" -m pip install -qq --disable-pip-version-check uv 2>/dev/null &&
        "$VENV/bin/python" -m uv pip install --quiet --python "$VENV/bin/python" \
            --constraint constraints.txt --editable "$2" 2>/dev/null ||
        # uv is faster, and does not read pip.conf, which may name the only index that is in reach.
        PIP_USER=0 "$VENV/bin/python" -m pip install -qq --disable-pip-version-check \
            --constraint constraints.txt --editable "$2" || fail "pip could not install $3; see above"
    checksum >"$VENV/installed-$1"
}

# Without constraints.txt, which is of one version of Airflow alone: its own metadata says what it runs with. pip takes
# minutes to find that out, and uv seconds.
install_airflow() {
    say "Installing Airflow ($AIRFLOW) and the provider into $VENV. This takes half a minute ..."
    rm -f "$VENV/installed-airflow"
    case "$AIRFLOW" in
    lowest) choice='--resolution=lowest-direct' ;;
    # Its API server does not start with newer ones, which its constraints file rules out, and its metadata does not.
    3.2.*) choice="apache-airflow==$AIRFLOW fastapi<0.137" ;;
    *) choice="apache-airflow==$AIRFLOW" ;;
    esac
    # shellcheck disable=SC2086  # each word is an argument
    PIP_USER=0 "$VENV/bin/python" -m pip install -qq --disable-pip-version-check uv &&
        "$VENV/bin/python" -m uv pip install --quiet --python "$VENV/bin/python" --compile-bytecode \
            $choice --editable . $VERSIONS_TOOLS || fail "uv could not install Airflow ($AIRFLOW); see above"
    say "$AIRFLOW $(checksum)" >"$VENV/installed-airflow"
}

# With Airflow of the version of constraints.txt: uv would take an older one that suits the others better.
install_stores() {
    say "Installing the libraries and emulators of object stores into $VENV. This takes half a minute ..."
    rm -f "$VENV/installed-stores"
    airflow=$(sed -n 's/^apache-airflow==\([0-9.]*\).*/\1/p' constraints.txt)
    # shellcheck disable=SC2086  # each word is an argument
    PIP_USER=0 "$VENV/bin/python" -m pip install -qq --disable-pip-version-check uv &&
        "$VENV/bin/python" -m uv pip install --quiet --python "$VENV/bin/python" "apache-airflow==$airflow" \
            --editable '.[parquet]' $STORES_LIBRARIES $STORES_DRIVERS $STORES_LOADED $STORES_EMULATORS $VERSIONS_TOOLS &&
        "$VENV/bin/python" -m uv pip install --quiet --python "$VENV/bin/python" --no-deps $STORES_PROVIDERS ||
        fail "uv could not install the libraries and emulators of object stores; see above"
    stores_version >"$VENV/installed-stores"
}

# Where npm is missing, the tests with Azure are skipped, and say so.
install_azurite() {
    if ! command -v npm >/dev/null; then
        say "There is no npm here (on Debian: apt-get install npm), so the tests with Azure are skipped."
        return
    fi
    say "Installing Azurite into $VENV. This takes half a minute ..."
    npm install --silent --no-audit --no-fund --no-save --prefix "$VENV/azurite" "$AZURITE" ||
        fail "npm could not install $AZURITE; see above"
    say "$AZURITE" >"$VENV/azurite/installed"
}

stores_version() { say "$(checksum) $(cksum <development/environment.sh)"; }

is_installed() {
    [ -f "$VENV/installed-$1" ] && [ "$(cat "$VENV/installed-$1")" = "$(checksum)" ]
}

# What cannot be used is refused even where it is not needed now.
[ -z "$PYTHON" ] || choose >/dev/null

case "${1:-}" in
python)
    choose
    ;;
runtime)
    is_usable || make_environment
    is_installed runtime || is_installed development || install runtime . "Airflow and the provider"
    ;;
development)
    is_usable || make_environment
    is_installed development || install development '.[dev]' "Airflow, the provider and the development tools"
    ;;
airflow)
    [ -n "$AIRFLOW" ] || fail "AIRFLOW names no version: make test-airflow AIRFLOW=3.1.8"
    is_usable || make_environment
    [ "$(cat "$VENV/installed-airflow" 2>/dev/null)" = "$AIRFLOW $(checksum)" ] || install_airflow
    ;;
stores)
    is_usable || make_environment
    [ "$(cat "$VENV/installed-stores" 2>/dev/null)" = "$(stores_version)" ] || install_stores
    [ "$(cat "$VENV/azurite/installed" 2>/dev/null)" = "$AZURITE" ] || install_azurite
    ;;
*)
    fail "usage: environment.sh python|runtime|development|airflow|stores"
    ;;
esac
