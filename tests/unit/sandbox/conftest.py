"""A caller that speaks plain HTTP to a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox


class Caller:
    """Calls a sandbox over its socket, with the organization token unless told otherwise."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.token = sandbox.organization_token
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = sandbox.ca_file or True

    def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        options.setdefault("headers", {"Authorization": self.token} if self.token else {})
        return self.session.request(
            method, self.sandbox.url + path, json=json, allow_redirects=False, timeout=10, **options
        )

    def authorize(self) -> dict[str, Any]:
        """Obtain tokens and use the access token from now on."""
        credentials = {"key": self.sandbox.key, "secret": self.sandbox.secret}
        tokens: dict[str, Any] = self("POST", "/auth/authorize", credentials).json()
        self.token = f"Bearer {tokens['accessToken']}"
        return tokens

    def case(self, **details: Any) -> str:
        """Create a case and return its id."""
        return str(self("POST", "/cases", details).json()["caseId"])

    def run(self, definition: str = DEFINITION, **fields: Any) -> str:
        """Run a workflow for a new case and return its id."""
        body = {"caseId": self.case(), "workflowDefinitionId": definition, **fields}
        return str(self("POST", "/workflows/run", body).json()["id"])


@pytest.fixture
def call(sandbox: Sandbox) -> Iterator[Caller]:
    caller = Caller(sandbox)
    yield caller
    caller.session.close()


def error_code(response: requests.Response) -> str:
    """Return the code of a refusal, having checked the form of its body."""
    body = response.json()
    assert body["fingerprint"]
    (error,) = body["errors"]
    assert error["message"]
    return str(error["code"])
