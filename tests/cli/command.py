"""The command under test: a call with what it must give, and the list of what failed."""
import os
import subprocess

TOOL = os.environ["TREADLE_TOOL"]
FAILURES = []


def call(line, folder, code=0, texts=()):
    """Runs the command with the words of a line, or with a list of them."""
    words = line.split() if isinstance(line, str) else line
    done = subprocess.run([TOOL, *words], capture_output=True, text=True, cwd=folder, timeout=300)
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
