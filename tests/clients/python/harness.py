"""Runs each case of a client when it is defined and prints `client | case | result`."""

import contextlib
import importlib.metadata
import sys
import traceback
import urllib.error
import urllib.request

WRONG_TOKEN = "wrong-token"

UNICODE_NAME = "naïve résumé 日本.txt"
QUOTED_NAME = 'naïve "q" 日本.bin'
SEVERAL_MB = bytes(range(256)) * (20 << 10)


def suite(distribution, remark=""):
    """Returns a decorator for the cases of an installed client."""
    client = f"PyPI {distribution} {importlib.metadata.version(distribution)}{remark}"

    def case(name):
        def run(function):
            try:
                function()
                result = "ok"
            except Exception:
                print(f"{client}, {name}:", file=sys.stderr)
                traceback.print_exc()
                result = "FAIL"
            print(f"{client} | {name} | {result}", flush=True)

        return run

    return case


def equal(found, expected):
    """An assertion that reports both values."""
    if found != expected:
        raise AssertionError(f"{found!r} is not {expected!r}")


@contextlib.contextmanager
def raises(kind, check=lambda error: True):
    """Requires that the body raise an error of this kind that passes the check."""
    try:
        yield
    except kind as error:
        if not check(error):
            raise AssertionError(f"another {kind.__name__}: {error}") from error
        return
    raise AssertionError(f"no {kind.__name__}")


def fetch(url, headers={}):
    """The status and body of a GET request sent without the client."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
