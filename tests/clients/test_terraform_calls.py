"""Terraform: OpenTofu with its S3 backend, and what the AWS provider asks for buckets and objects.

The backend is that of OpenTofu's own binary. The provider cannot be had as a package, so its calls are
replayed with the SDK that it uses (``go/terraform``).
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from endpoint import TOOLS, Endpoint
from program import Tool, run_program

PROVIDER = [
    *("aws_s3_bucket create", "aws_s3_bucket read", "aws_s3_bucket update of tags"),
    *("aws_s3_object create", "aws_s3_object read", "aws_s3_object update"),
    *("aws_s3_object and aws_s3_objects as data", "aws_s3_object and aws_s3_bucket destroy"),
]
# What is skipped is asked of other services of AWS than S3.
CONFIGURATION = """
terraform {
  backend "s3" {
    bucket                      = "%s"
    key                         = "states/a b.tfstate"
    region                      = "%s"
    use_lockfile                = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
  }
}
variable "text" { default = "one" }
resource "terraform_data" "note" { input = var.text }
output "text" { value = terraform_data.note.output }
"""
LOCK = "states/a b.tfstate.tflock"


@pytest.fixture
def tofu(environment: dict[str, str], endpoint: Endpoint, bucket: str, tmp_path: Path) -> Tool:
    (tmp_path / "main.tf").write_text(CONFIGURATION % (bucket, endpoint.region))
    quiet = {"TF_IN_AUTOMATION": "1", "TF_CLI_ARGS": "-no-color", "CHECKPOINT_DISABLE": "1"}
    return Tool([str(TOOLS / "tofu" / "bin" / "tofu")], {**environment, **quiet}, tmp_path)


def test_the_state_backend(
    tofu: Tool, s3: Any, bucket: str, covered: Callable[[str, Iterable[str]], None]
) -> None:
    s3.create_bucket(Bucket=bucket)
    tofu("init")
    tofu("apply", "-auto-approve")
    tofu("apply", "-auto-approve", "-var", "text=two")
    assert '"value":"two"' in tofu("state", "pull")
    tofu("workspace", "new", "other")
    tofu("apply", "-auto-approve", "-var", "text=three")
    assert '"value":"three"' in tofu("state", "pull")
    tofu("workspace", "select", "default")
    assert "other" in tofu("workspace", "list")
    # Who finds a lock waits or gives up: it is put by "If-None-Match: *".
    s3.put_object(Bucket=bucket, Key=LOCK, Body=b'{"ID":"1","Who":"somebody else"}')
    refused = tofu.attempt("apply", "-auto-approve", "-var", "text=four")
    assert (refused.returncode, b"Error acquiring the state lock" in refused.stderr) == (1, True)
    tofu("force-unlock", "-force", "1")
    tofu("destroy", "-auto-approve")
    found = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert found == ["env:/other/states/a b.tfstate", "states/a b.tfstate"]
    operations = [
        "init",
        "apply",
        "state pull",
        "workspace new",
        "workspace list",
        "locked out",
        "force-unlock",
    ]
    covered("OpenTofu S3 backend", [*operations, "destroy"])


def test_the_calls_of_the_provider(
    environment: dict[str, str],
    s3: Any,
    bucket: str,
    covered: Callable[[str, Iterable[str]], None],
    tmp_path: Path,
) -> None:
    program = Tool([str(TOOLS / "go" / "bin" / "terraform")], environment, tmp_path)
    run_program(program, s3, bucket, PROVIDER)
    covered("Terraform AWS provider", PROVIDER)
