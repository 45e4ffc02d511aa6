"""A small Hub on the loopback interface: repositories, branches, pull requests, large files, tokens, and faults.

It speaks what huggingface_hub's client needs for models. It has no Xet storage, so the tests turn that off: which way
the client uploads a large file in production is not what is tested here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = 10 * 2**20


@dataclass(frozen=True)
class Commit:
    """All files of a repository at one moment."""

    files: dict[str, bytes]
    parent: str | None = None
    summary: str = "initial commit"
    description: str = ""

    @property
    def oid(self) -> str:
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        told = json.dumps([digests, self.parent, self.summary, self.description], sort_keys=True)
        return hashlib.sha1(told.encode()).hexdigest()


@dataclass
class Request:
    """A pull request: its commit is the head of ``refs/pr/N``."""

    number: int
    author: str
    title: str
    base: str
    status: str = "open"

    @property
    def ref(self) -> str:
        return f"refs/pr/{self.number}"


@dataclass
class Repo:
    name: str
    private: bool = False
    gated: bool = False
    hidden: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def owner(self) -> str:
        return self.name.partition("/")[0]

    def commit(self, files: dict[str, bytes], ref: str = "main", summary: str = "change", description: str = "") -> str:
        """Put a commit with these files, beside those that are there, at the head of ``ref``."""
        parent = self.refs.get(ref)
        before = self.commits[parent].files if parent else {}
        commit = Commit({**before, **files}, parent, summary, description)
        self.commits[commit.oid] = commit
        self.refs[ref] = commit.oid
        return commit.oid

    def at(self, revision: str) -> tuple[str, Commit]:
        oid = self.refs.get(revision, revision)
        if oid not in self.commits:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return oid, self.commits[oid]

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return self.at(revision)[1].files

    def history(self, ref: str = "main") -> list[Commit]:
        oid, commits = self.refs.get(ref), []
        while oid:
            commits.append(self.commits[oid])
            oid = self.commits[oid].parent
        return commits


@dataclass(frozen=True)
class User:
    name: str
    writes: bool = True


class Refused(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


@dataclass
class Fault:
    """What goes wrong with the requests whose method and path match: a status, HTML, or a connection that breaks.

    ``says`` gives the whole answer, head and body, part by part, for as long as somebody listens.
    """

    method: str
    path: str
    status: int = 0
    html: bool = False
    times: float = float("inf")
    before: Callable[[], object] | None = None
    says: Callable[[], Iterator[bytes]] | None = None


class Hub:
    """Repositories by their names, users by their tokens, and all requests that were made."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.repos: dict[str, Repo] = {}
        self.users: dict[str, User] = {}
        self.large: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.log: list[tuple[str, str]] = []
        self.lock = Lock()

    def add(self, name: str, files: dict[str, bytes] | None = None, **how: bool) -> Repo:
        repo = self.repos[name] = Repo(name, **how)
        repo.commit({".gitattributes": b"", **(files or {})}, summary="initial commit")
        return repo

    def user(self, name: str, *, writes: bool = True) -> str:
        """Make a user and return the token."""
        token = f"hf_{name}{'Write' if writes else 'Read'}0123456789abcdefghij"
        self.users[token] = User(name, writes)
        return token

    def fail(self, method: str, path: str, **how: Any) -> None:
        self.faults.append(Fault(method, path, **how))

    def heal(self) -> None:
        self.faults.clear()

    def fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def writes(self) -> list[tuple[str, str]]:
        """The requests that change something."""
        changing = r"/api/repos/create|/branch/|/commit/|/objects/|/lfs/"
        return [(method, path) for method, path in self.log if method != "GET" and re.search(changing, path)]

    def merge(self, name: str, number: int) -> None:
        repo = self.repos[name]
        request = repo.requests[number - 1]
        head = repo.commits[repo.refs[request.ref]]
        base = repo.commits[head.parent or ""].files
        changed = {path: content for path, content in head.files.items() if base.get(path) != content}
        repo.commit(changed, request.base, f"{request.title} (#{number})")
        request.status = "merged"


class Server(ThreadingHTTPServer):
    """A port that is known from the beginning, and answers for whichever Hub is ``hub`` while it runs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.server_bind()
        self.hub = Hub(self.endpoint)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the Hub's."""

    @contextmanager
    def running(self) -> Iterator[None]:
        self.server_activate()
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    query: dict[str, list[str]]
    body: bytes | None

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path, self.query, self.body = unquote(url.path), parse_qs(url.query), None
        self.hub.log.append((self.command, path))
        fault = self.hub.fault(self.command, path)
        if fault is not None and fault.before is not None:
            fault.before()
        elif fault is not None:
            return self._go_wrong(fault)
        try:
            for method, pattern, handle in _ROUTES:
                match = re.fullmatch(pattern, path)
                if match and self.command in method.split():
                    with self.hub.lock:
                        return handle(self, **match.groupdict())
            raise Refused(404, "", f"Cannot {self.command} {path}")
        except Refused as refused:
            self._body()
            self._refuse(refused)

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def _go_wrong(self, fault: Fault) -> None:
        if fault.says:
            self._body()
            self.close_connection = True
            with suppress(OSError):
                for part in fault.says():
                    self.wfile.write(part)
            return
        if fault.html:
            self._body()
            return self._send(200, b"<html><body>Please log in</body></html>", "text/html")
        if fault.status:
            self._body()
            return self._send(fault.status, b"<html>oops</html>", "text/html")
        # Half of what comes is read, or half of what goes is sent, and then the line is cut.
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length // 2)
        if self.command == "GET":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\nhalf")
        self.close_connection = True
        self.connection.close()

    def _body(self) -> bytes:
        if self.body is None:
            self.body = self._read()
        return self.body

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if not any(name.lower() == "content_length" for name in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode())

    def _refuse(self, refused: Refused) -> None:
        headers = {"X_Error_Code": refused.code, "X_Error_Message": refused.message}
        body = json.dumps({"error": refused.message}).encode()
        self._send(refused.status, body, **{name: value for name, value in headers.items() if value})

    # Who may do what

    def _user(self) -> User | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.users:
            raise Refused(401, "", "Invalid credentials in Authorization header")
        return self.hub.users.get(token)

    def _repo(self, name: str) -> Repo:
        user, repo = self._user(), self.hub.repos.get(name)
        if repo is None or repo.hidden or (repo.private and (user is None or user.name != repo.owner)):
            if user is None:
                raise Refused(401, "", "Invalid username or password.")
            raise Refused(404, "RepoNotFound", "Repository not found")
        return repo

    def _writer(self, owner: str | None = None) -> User:
        user = self._user()
        if user is None:
            raise Refused(401, "", "Invalid username or password.")
        if not user.writes:
            raise Refused(403, "", "you must use a write token to do this")
        if owner not in (None, user.name):
            raise Refused(403, "", f'You don\'t have the rights to write under the namespace "{owner}"')
        return user

    # Reading

    def whoami(self) -> None:
        user = self._user()
        if user is None:
            raise Refused(401, "", "Invalid username or password.")
        role = "write" if user.writes else "read"
        self._json({"type": "user", "name": user.name, "orgs": [], "auth": {"accessToken": {"role": role}}})

    def info(self, name: str, revision: str = "main") -> None:
        repo = self._repo(name)
        oid, commit = repo.at(revision)
        siblings = [{"rfilename": path, **self._blob(content)} for path, content in commit.files.items()]
        told = {"id": repo.name, "modelId": repo.name, "sha": oid, "private": repo.private, "siblings": siblings}
        self._json({**told, "tags": [], "downloads": 0, "likes": 0})

    def models(self) -> None:
        """List an owner's models, one a page, as the real Hub gives a thousand."""
        [owner], user = self.query["author"], self._user()
        theirs = [
            repo
            for repo in self.hub.repos.values()
            if repo.owner == owner and not repo.hidden and (not repo.private or (user and user.name == owner))
        ]
        page = int(self.query.get("page", ["0"])[0])
        shown = [
            {"id": repo.name, "siblings": [{"rfilename": name} for name in repo.files()]}
            for repo in theirs[page : page + 1]
        ]
        following = f"{self.hub.endpoint}/api/models?author={owner}&page={page + 1}"
        more = {"Link": f'<{following}>; rel="next"'} if page + 1 < len(theirs) else {}
        self._send(200, json.dumps(shown).encode(), **more)

    def _blob(self, content: bytes) -> dict[str, Any]:
        size, git = len(content), hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        if size <= LARGE:
            return {"size": size, "blobId": git}
        sha = hashlib.sha256(content).hexdigest()
        return {"size": size, "blobId": git, "lfs": {"size": size, "sha256": sha, "pointerSize": 134}}

    def tree(self, name: str, revision: str, folder: str = "") -> None:
        _, commit = self._repo(name).at(revision)
        inside = {path: content for path, content in commit.files.items() if path.startswith(folder and f"{folder}/")}
        if not inside:
            raise Refused(404, "EntryNotFound", f"{folder} does not exist")
        self._json([{"type": "file", "path": path, "oid": "0" * 40, "size": len(c)} for path, c in inside.items()])

    def resolve(self, name: str, revision: str, path: str) -> None:
        repo = self._repo(name)
        oid, commit = repo.at(revision)
        if repo.gated and self._user() is None:
            raise Refused(401, "GatedRepo", f"Access to model {name} is restricted.")
        if path not in commit.files:
            raise Refused(404, "EntryNotFound", "Entry not found")
        content = commit.files[path]
        blob = self._blob(content)
        etag = blob["lfs"]["sha256"] if "lfs" in blob else blob["blobId"]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        headers = {"ETag": f'"{etag}"', "X_Repo_Commit": oid, "Content_Length": str(len(content) - start)}
        self._send(206 if start else 200, content[start:], "application/octet-stream", **headers)

    def discussions(self, name: str) -> None:
        author, status = self.query.get("author", [""])[0], self.query.get("status", ["all"])[0]
        found = [
            {
                "title": each.title,
                "num": each.number,
                "author": {"name": each.author},
                "createdAt": "2026-01-01T00:00:00.000Z",
                "status": each.status,
                "repo": {"name": name, "type": "model"},
                "isPullRequest": True,
            }
            for each in self._repo(name).requests
            if author in ("", each.author) and status in ("all", each.status)
        ]
        self._json({"discussions": found, "count": len(found), "start": 0})

    # Writing

    def create(self) -> None:
        asked = json.loads(self._body())
        user = self._writer(asked.get("organization"))
        name = f"{user.name}/{asked['name']}"
        if name in self.hub.repos:
            raise Refused(409, "", "You already created this model repo")
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        self.hub.add(name, private=private)
        self._json({"url": f"{self.hub.endpoint}/{name}", "name": name, "id": "1"})

    def branch(self, name: str, branch: str) -> None:
        repo, asked = self._repo(name), json.loads(self._body())
        self._writer(repo.owner)
        if branch in repo.refs:
            raise Refused(409, "", "Reference already exists")
        repo.refs[branch] = repo.at(asked.get("startingPoint", "main"))[0]
        self._json({})

    def validate(self) -> None:
        content = json.loads(self._body())["content"]
        errors = [] if content.startswith("---\n") else [{"message": "no metadata"}]
        self._json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def preupload(self, name: str, revision: str) -> None:
        repo, asked = self._repo(name), json.loads(self._body())
        self._writer(None if "create_pr" in self.query else repo.owner)
        there = repo.files(revision)
        answers = [
            {
                "path": each["path"],
                "uploadMode": "lfs" if each["size"] > LARGE else "regular",
                "shouldIgnore": False,
                **({"oid": self._oid(there[each["path"]])} if each["path"] in there else {}),
            }
            for each in asked["files"]
        ]
        self._json({"files": answers})

    def _oid(self, content: bytes) -> str:
        blob = self._blob(content)
        return str(blob["lfs"]["sha256"] if "lfs" in blob else blob["blobId"])

    def batch(self, name: str) -> None:
        asked = json.loads(self._body())
        self._writer()
        self._json({"transfer": "basic", "objects": [self._upload(each) for each in asked["objects"]]})

    def _upload(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["oid"] in self.hub.large:
            return asked
        place = f"{self.hub.endpoint}/lfs/{asked['oid']}"
        return {**asked, "actions": {"upload": {"href": place}, "verify": {"href": f"{place}/verify"}}}

    def put(self, oid: str) -> None:
        content = self._body()
        assert hashlib.sha256(content).hexdigest() == oid
        self.hub.large[oid] = content
        self._send(200, b"")

    def verify(self, oid: str) -> None:
        self._body()
        self._send(200 if oid in self.hub.large else 404, b"{}")

    def commit(self, name: str, revision: str) -> None:
        repo, lines = self._repo(name), [json.loads(line) for line in self._body().splitlines()]
        request = "create_pr" in self.query
        user = self._writer(None if request else repo.owner)
        header, files = lines[0]["value"], dict(map(self._file, lines[1:]))
        head = repo.at(revision)[0]
        parent = header.get("parentCommit")
        if parent not in (None, head) and not request:
            raise Refused(412, "", "A commit has happened since. Please refresh and try again.")
        if request:
            made = Request(len(repo.requests) + 1, user.name, header["summary"], revision)
            repo.requests.append(made)
            repo.refs[made.ref] = parent or head
        oid = repo.commit(files, made.ref if request else revision, header["summary"], header["description"])
        url = f"{self.hub.endpoint}/{name}"
        told = {"success": True, "commitOid": oid, "commitUrl": f"{url}/commit/{oid}", "hookOutput": ""}
        self._json({**told, "pullRequestUrl": f"{url}/discussions/{made.number}"} if request else told)

    def _file(self, line: dict[str, Any]) -> tuple[str, bytes]:
        value = line["value"]
        if line["key"] == "lfsFile":
            return value["path"], self.hub.large[value["oid"]]
        assert line["key"] == "file"
        return value["path"], base64.b64decode(value["content"])

    def harnesses(self) -> None:
        self._json({"standardEnvVars": [], "harnesses": {}})


_NAME = r"(?P<name>[^/]+/[^/]+)"
_REVISION = r"(?P<revision>refs/pr/\d+|[^/]+)"
_ROUTES: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("GET", "/api/agent-harnesses", _Handler.harnesses),
    ("GET", "/api/whoami-v2", _Handler.whoami),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate),
    ("GET", "/api/models", _Handler.models),
    ("GET", f"/api/models/{_NAME}", _Handler.info),
    ("GET", f"/api/models/{_NAME}/revision/{_REVISION}", _Handler.info),
    ("GET", f"/api/models/{_NAME}/tree/{_REVISION}(?:/(?P<folder>.+))?", _Handler.tree),
    ("GET", f"/api/models/{_NAME}/discussions", _Handler.discussions),
    ("POST", f"/api/models/{_NAME}/branch/(?P<branch>.+)", _Handler.branch),
    ("POST", f"/api/models/{_NAME}/preupload/{_REVISION}", _Handler.preupload),
    ("POST", f"/api/models/{_NAME}/commit/{_REVISION}", _Handler.commit),
    ("GET HEAD", f"/{_NAME}/resolve/{_REVISION}/(?P<path>.+)", _Handler.resolve),
    ("POST", r"/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]+)", _Handler.put),
    ("POST", "/lfs/(?P<oid>[0-9a-f]+)/verify", _Handler.verify),
)
