"""treadle completion: what the scripts offer is what --help tells; bash runs its own, others where they are installed."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from command import call, expect, result


def offers(script, words):
    """What bash offers for the last of the words."""
    line = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(["bash", "-c", f'source "$1"; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _treadle; '
                           'echo "${COMPREPLY[@]}"', "bash", str(script)], capture_output=True, text=True)
    expect(done.stderr == "", f"bash says {done.stderr}")
    return done.stdout.split()


def told(folder, *command):
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", "\n".join(
        line[:30].split("  ")[1] if line.startswith("  -") else ""
        for line in call(" ".join([*command, "--help"]), folder).stdout.splitlines())))


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        scripts = {shell: folder / f"treadle.{shell}" for shell in ("bash", "zsh", "fish")}
        for shell, script in scripts.items():
            script.write_text(call(f"completion {shell}", folder).stdout)
        call("completion csh", folder, 2, ["bash zsh fish"])
        call("completion", folder, 2, ["bash|zsh|fish"])
        bash = scripts["bash"]
        commands = [w for w in offers(bash, ["treadle", ""]) if not w.startswith("-")]
        listed = re.findall(r"^  ([a-z]+) ", call("--help", folder).stdout.split("Subcommands:")[1], re.MULTILINE)
        expect(commands == listed and "bench" in commands, f"bash offers {commands}, --help lists {listed}")
        for command in commands:
            flags = set(offers(bash, ["treadle", command, "-"]))
            expect(flags == told(folder, command) and "--help" in flags, f"bash offers {flags} of {command}")
            for shell in ("zsh", "fish"):
                text = scripts[shell].read_text()
                expect(command in text, f"{shell} does not know {command}")
                for flag in (f for f in flags if f.startswith("--")):
                    expect((f"-l {flag[2:]} " if shell == "fish" else f"'*{flag}[") in text, f"{shell} lacks {flag}")
        expect(offers(bash, ["treadle", "run", "--fill", ""]) == ["random", "zeros", "ones"], "values of --fill")
        expect(offers(bash, ["treadle", "run", "--fill", "z"]) == ["zeros"], "values of --fill by z")
        expect(offers(bash, ["treadle", "run", "--input", ""]) == [], "a file is left to bash")
        expect(offers(bash, ["treadle", "run", ""]) == [], "a model is left to bash")
        expect(offers(bash, ["treadle", "completion", ""]) == ["bash", "zsh", "fish"], "the shells")
        for shell in ("zsh", "fish"):
            if shutil.which(shell) is None:
                print(f"not checked by {shell}, which is not installed")
                continue
            done = subprocess.run([shell, "-n", str(scripts[shell])], capture_output=True, text=True)
            expect(done.returncode == 0 and not done.stderr, f"{shell}: {done.stderr}")
    return result()


sys.exit(main())
