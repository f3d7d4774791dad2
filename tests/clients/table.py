"""Turns lines of `client | case | result` into a table of clients and cases, blank where a client has no such call."""

import sys

CASES = [
    "create", "metadata", "unicode name", "empty file", "several MB", "parts", "list", "filter", "get", "content", "link",
    "update", "delete", "second delete", "bad token", "unknown id", "vector stores", "own bugs",
]

results = {}
for line in sys.stdin:
    client, case, result = line.strip().split(" | ")
    if case not in CASES:
        sys.exit(f"{client}: the table has no column for {case}")
    results.setdefault(client, {})[case] = result

print("|", " | ".join(["client", *CASES]), "|")
print("| --- |" + " :---: |" * len(CASES))
for client, cases in results.items():
    print("|", " | ".join([client, *(cases.get(case, "") for case in CASES)]), "|")
