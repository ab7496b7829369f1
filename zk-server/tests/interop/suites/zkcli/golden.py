"""Golden files of the shell's answers, command by command.

overlay GOLDEN OTHER   prints the golden file with the answers of the other one in the places of its own: those that an
                       ensemble gives otherwise
wrong GOLDEN FOUND     how many commands have another answer, or none, in what was found; at least one
"""

import sys


def sections(name):
    found = []
    for line in open(name):
        if line.startswith(("> ", "# ")):
            found.append([])
        found[-1].append(line)
    return found


def overlay(golden, other):
    other = {section[0]: section for section in other}
    for section in golden:
        sys.stdout.writelines(other.pop(section[0], section))
    if other:
        sys.exit("answers without a place: %s" % sorted(other))


def wrong(golden, found):
    count = sum(1 for a, b in zip(golden, found) if a != b) + max(0, len(golden) - len(found))
    print(max(1, min(count, len(golden) - 1)))


{"overlay": overlay, "wrong": wrong}[sys.argv[1]](sections(sys.argv[2]), sections(sys.argv[3]))
