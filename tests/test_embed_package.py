"""The embed as an npm package: what is in it, its types, and that it loads where there is no page."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from streamcount import __version__

ROOT = Path(__file__).parents[1]
EMBED = ROOT / "streamcount" / "embed"
GZIPPED_BYTES_MAX = 5 * 1024

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node (Debian: nodejs)")
needs_tsc = pytest.mark.skipif(
    shutil.which("tsc") is None, reason="needs tsc (Debian: node-typescript)"
)


@pytest.fixture
def project(tmp_path):
    """A project that has installed the package."""
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "streamcount").symlink_to(EMBED)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


def compiled(project, *files):
    command = ["tsc", "--noEmit", "--strict", "--target", "es2020", "--lib", "es2020,dom"]
    command += ["--module", "node16", "--moduleResolution", "node16", *files]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False, timeout=3000
    )


def test_the_script_is_at_most_five_kibibytes_gzipped():
    assert len(gzip.compress((EMBED / "streamcount.js").read_bytes(), 9)) <= GZIPPED_BYTES_MAX


def test_the_package_has_the_projects_version_and_depends_on_nothing():
    package = json.loads((EMBED / "package.json").read_text("utf-8"))
    assert package["version"] == __version__
    assert not {"dependencies", "peerDependencies", "scripts"} & package.keys()
    for path in re.findall(r'"\./([^"*]+)"', json.dumps(package["exports"])):
        assert (EMBED / path).exists(), path


@needs_tsc
def test_a_typed_page_compiles_in_strict_mode(project):
    shutil.copy(EMBED / "examples" / "typed.ts", project / "page.ts")
    done = compiled(project, "page.ts")
    assert done.returncode == 0, done.stdout


@needs_tsc
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("watch(document.body, {event: 'lesson'})", "HTMLElement"),
        ("watch(document.querySelector('video')!, {})", "event"),
        ("watch({name: 'mine', read: () => ({state: 'stopped'})}, {event: 'lesson'})", "stopped"),
        ("watch(document.querySelector('video')!, {event: 'lesson'}).stop()", "undefined"),
    ],
)
def test_what_is_wrong_does_not_compile(project, wrong, said):
    (project / "page.ts").write_text(f"import {{ watch }} from 'streamcount';\n{wrong};\n")
    done = compiled(project, "page.ts")
    assert done.returncode != 0
    assert said in done.stdout


@needs_tsc
def test_every_name_in_the_script_is_known(tmp_path):
    """A slip in a branch that is rarely taken would end all heartbeats of a page."""
    (tmp_path / "page.d.ts").write_text(
        "interface Window { YT: any }\ninterface SVGScriptElement { src: string }\n"
    )
    command = ["tsc", "--noEmit", "--allowJs", "--checkJs", "--target", "es2020"]
    command += ["--lib", "es2020,dom", "page.d.ts", str(EMBED / "streamcount.js")]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=3000
    )
    assert done.returncode == 0, done.stdout


@needs_node
def test_it_can_be_imported_where_there_is_no_page(project):
    """Pages are also made on servers: there it does nothing."""
    (project / "server.js").write_text(
        "import { watch } from 'streamcount';\n"
        "console.log(typeof watch, watch({read() {}}, {event: 'lesson', server: 'https://x.example'}));\n"
    )
    done = subprocess.run(
        ["node", "server.js"], cwd=project, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "function undefined\n"), done.stderr


def test_the_wheel_holds_the_package(tmp_path):
    build = "import sys; from flit_core.buildapi import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=ROOT, check=True, timeout=600)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    ours = {str(path.relative_to(ROOT)) for path in EMBED.rglob("*") if path.suffix != ".pyc"}
    files = {name for name in ours if (ROOT / name).is_file()}
    assert files <= names
    assert "streamcount/embed/streamcount.d.ts" in files
