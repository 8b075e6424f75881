#!/usr/bin/env bash
# Installs what the build and the tests need: packages of the distribution, and a .venv with pinned Python packages.
# With the argument "tests" also a browser, if the distribution packages one: the tests of the HTML report need it.
# Runs as root or with sudo on Debian 12 and Ubuntu 22.04 or newer; does nothing for what is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ cmake ninja-build ccache python3 python3-venv python3-dev zlib1g-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev
          libgtest-dev libcurl4-openssl-dev libssl-dev
          libarchive-dev) # unpacks the archives of data sets
# Ubuntu's chromium is a snap, which containers cannot run; there the tests that need it are skipped.
has_browser() { command -v chromium || command -v google-chrome; }
if [[ "${1:-}" == tests ]] && ! has_browser >/dev/null && grep -q '^ID=debian' /etc/os-release; then
  packages+=(chromium fonts-dejavu-core)
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  sudo=()
  if [[ $EUID -ne 0 ]]; then
    command -v sudo >/dev/null || { echo "setup: ${missing[*]} must be installed; run as root or install sudo" >&2; exit 1; }
    sudo=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# A wheel chosen by the user (for CUDA, say) is left alone: set ALTPROP_TORCH_INDEX to choose another index for torch.
if ! .venv/bin/python -c 'import sys' 2>/dev/null; then
  python3 -m venv .venv
fi
if ! .venv/bin/python - <<'PY' 2>/dev/null
import importlib.metadata as m
for line in open("requirements.txt"):
    name, version = line.split("#")[0].strip().split("==")
    assert m.version(name).split("+")[0] == version
PY
then
  echo "setup: installing Python packages into .venv"
  index=()
  if [[ -n "${ALTPROP_TORCH_INDEX:-}" ]]; then index=(--extra-index-url "$ALTPROP_TORCH_INDEX"); fi
  .venv/bin/python -m pip install -q --disable-pip-version-check "${index[@]}" -r requirements.txt
fi
