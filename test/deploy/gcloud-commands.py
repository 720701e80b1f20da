"""Runs gcloud commands inside one process of gcloud's own code, as far as they get without an account.

Starting gcloud costs a second a command, loading it costs one for all. The commands come as lines of
shell on the standard input; for each one goes out as JSON: its words, and the first line of what
gcloud said. The one good end is gcloud's complaint that nobody is signed in: by then it has parsed
every flag and run the command's own checks, and has not spoken to anybody.
"""

import json
import os
import shlex
import sys
import tempfile

lines = sys.stdin.read().splitlines()
sdk = sys.argv[1]
sys.path[:0] = [os.path.join(sdk, "lib"), os.path.join(sdk, "lib", "third_party")]

from googlecloudsdk import gcloud_main

cli = gcloud_main.CreateCLI([])
real_stderr = os.dup(2)


def give_input():
    """For commands that read a secret or a text from their standard input."""
    reading, writing = os.pipe()
    os.write(writing, b"x")
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)


def run(words):
    give_input()
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            cli.Execute(words[1:], call_arg_complete=False)
        except SystemExit:
            pass
        finally:
            sys.stderr.flush()
            os.dup2(real_stderr, 2)
        said.seek(0)
        return (said.read().decode().strip().splitlines() or ["nothing"])[0]


for line in lines:
    words = shlex.split(line)
    print(json.dumps({"words": words, "said": run(words)}), flush=True)
