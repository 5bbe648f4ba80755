"""The command under test: a call with what it must give, and the list of what failed."""
import os
import subprocess

TOOL = os.environ["TREADLE_TOOL"]
FAILURES = []


def call(line, folder, code=0, texts=()):
    done = subprocess.run([TOOL, *line.split()], capture_output=True, text=True, cwd=folder, timeout=300)
    missing = [t for t in texts if t not in done.stdout + done.stderr]
    if done.returncode != code or missing:
        FAILURES.append(f"`treadle {line}`: exit {done.returncode}, expected {code}; missing {missing}\n"
                        f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def expect(condition, what):
    if not condition:
        FAILURES.append(what)


def result():
    """The exit code of the test, after its failures."""
    for failure in FAILURES:
        print("FAILED", failure)
    return 1 if FAILURES else 0
