"""Reads what callgrind has counted. The difference of two runs is free of what happens once."""

import glob
import re
import sys


def read(path):
    """Instructions by source file, as they were inlined or called, and the thread's functions."""
    files, names, current, skip = {}, {}, None, False
    functions = set()
    for line in open(path):
        line = line.rstrip("\n")
        if match := re.match(r"(fl|fi|fe|fn|cfn|cfi|cfl|cob|ob)=\((\d+)\)(?: (.*))?", line):
            kind, number, name = match.groups()
            space = "file" if kind in ("fl", "fi", "fe", "cfi", "cfl") else "fn" if kind in ("fn", "cfn") else "ob"
            if name is not None:
                names[space, number] = name
            if kind in ("fl", "fi", "fe"):
                current = names[space, number]
            elif kind == "fn":
                functions.add(names[space, number])
        elif line.startswith("calls="):
            skip = True  # The next line is the cost of what was called, which is counted there.
        elif re.match(r"[+\-*\d]", line):
            if skip:
                skip = False
                continue
            files[current] = files.get(current, 0) + int(line.split()[1])
    return files, functions


def worker(directory, arm, requests):
    """The thread that serves connections is the one that runs the pipeline."""
    for path in sorted(glob.glob(f"{directory}/{arm}.{requests}-*")):
        files, functions = read(path)
        if any("Pipeline" in name and "handle" in name for name in functions):
            return files
    sys.exit("no thread has run the pipeline")


def main():
    arm, few, many, directory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    first, second = worker(directory, arm, few), worker(directory, arm, many)
    total = (sum(second.values()) - sum(first.values())) / (many - few)
    # The code of an observer: that of `()` stands in the first place, that of the arm `on` in the second.
    places = ("iap-core/src/hooks/", "examples/hooks_cost/observer.rs")
    hooks = sum(cost for name, cost in second.items() if any(place in name for place in places))
    print(f"{arm:>4}: {total:7.0f} instructions a request; {hooks / many:.1f} of them are an observer's")
    if arm == "off" and hooks:
        sys.exit("hooks `()` are not free")
    if arm != "off" and not hooks:
        sys.exit("an observer was not seen: the check would not notice anything")


main()
