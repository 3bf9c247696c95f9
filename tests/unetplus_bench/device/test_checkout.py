from __future__ import annotations

import shutil
import subprocess

import pytest

from unetplus_bench.device.checkout import code_version

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words):
    settings = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *settings, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path):
    """A package in a checkout of its own."""
    folder = tmp_path / "checkout/benchmarks/package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "timing.py").write_text("a = 1\n")
    (tmp_path / "checkout/README.md").write_text("text\n")
    git(tmp_path / "checkout", "init", "--quiet")
    git(tmp_path / "checkout", "add", ".")
    git(tmp_path / "checkout", "commit", "--quiet", "-m", "one")
    return folder


def test_an_unchanged_checkout_is_its_commit(package):
    assert code_version(package) == git(package, "rev-parse", "HEAD")[:12]


def test_changed_code_is_marked(package):
    (package / "timing.py").write_text("a = 2\n")
    assert code_version(package) == git(package, "rev-parse", "HEAD")[:12] + "+"


def test_added_code_is_marked(package):
    (package / "more.py").write_text("b = 1\n")
    assert code_version(package).endswith("+")


def test_a_page_or_a_result_is_no_code(package):
    (package.parent.parent / "README.md").write_text("other\n")
    (package.parent / "result.json").write_text("{}")
    assert not code_version(package).endswith("+")


def test_outside_of_a_checkout_there_is_no_commit(tmp_path):
    (tmp_path / "__init__.py").write_text("")
    assert code_version(tmp_path) is None


def test_a_package_that_lies_in_a_strangers_checkout_is_not_of_it(package):
    installed = package.parent / ".venv/site-packages/package"
    shutil.copytree(package, installed)
    assert code_version(installed) is None


def test_nothing_of_the_checkout_is_written(package):
    index = package.parent.parent / ".git/index"
    before = index.read_bytes()
    (package / "timing.py").touch()
    code_version(package)
    assert index.read_bytes() == before
