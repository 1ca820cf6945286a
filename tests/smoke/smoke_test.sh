#!/usr/bin/env bash
# Does the AWS CLI work against this endpoint? Every `aws s3` command, and one `aws s3api` call for
# each operation of the API that the server implements.
#
#   tests/smoke/smoke_test.sh [ENDPOINT]
#
# ENDPOINT, or BLEEPSTORE_ENDPOINT, or http://localhost:9000. Credentials come from AWS_ACCESS_KEY_ID
# and AWS_SECRET_ACCESS_KEY, or are the documented default. AWS_CLI names another `aws` command; curl must be there.
# Prints a line for each check and exits 1 when one failed.
set -euo pipefail

endpoint=${1:-${BLEEPSTORE_ENDPOINT:-http://localhost:9000}}
aws_cli=${AWS_CLI:-aws}
command -v "$aws_cli" >/dev/null || { echo "no AWS CLI: '$aws_cli' is not a command" >&2; exit 2; }

work=$(mktemp -d "${TMPDIR:-/tmp}/bleepstore-smoke.XXXXXX")
bucket=bleep-smoke-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
second=$bucket-2
passed=0
failed=0

export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-bleepstore}
export AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-bleepstore-secret}
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1}
export AWS_CONFIG_FILE=$work/config AWS_SHARED_CREDENTIALS_FILE=$work/none
export AWS_EC2_METADATA_DISABLED=true AWS_PAGER= AWS_MAX_ATTEMPTS=1
printf '[default]\ns3 =\n  addressing_style = path\n  signature_version = s3v4\n' >"$AWS_CONFIG_FILE"

s3() { "$aws_cli" --endpoint-url "$endpoint" s3 "$@"; }
api() { "$aws_cli" --endpoint-url "$endpoint" s3api "$@"; }
field() { api "$@" --output text; }

clean_up() {
    s3 rb --force "s3://$bucket" >/dev/null 2>&1 || true
    s3 rb --force "s3://$second" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

pass() { passed=$((passed + 1)); echo "PASS  $1"; }
fail() { failed=$((failed + 1)); echo "FAIL  $1"; sed 's/^/      /' "$work/output" >&2; }

# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1
    shift
    if "$@" >"$work/output" 2>&1; then pass "$name"; else fail "$name"; fi
}

# gives NAME EXPECTED COMMAND...: the command succeeds and prints just this.
gives() {
    local name=$1 expected=$2
    shift 2
    if "$@" >"$work/output" 2>&1 && [ "$(cat "$work/output")" = "$expected" ]; then
        pass "$name"
    else
        echo "(expected: $expected)" >>"$work/output"
        fail "$name"
    fi
}

# refuses NAME CODE COMMAND...: the command fails and names this error.
refuses() {
    local name=$1 code=$2
    shift 2
    if ! "$@" >"$work/output" 2>&1 && grep -q "$code" "$work/output"; then pass "$name"; else fail "$name"; fi
}

lists_bucket() { s3 ls | grep -q "$bucket"; }
put_piped() { echo piped | s3 cp - "s3://$bucket/piped"; }
keys() { field list-objects-v2 --bucket "$bucket" --query 'Contents[].Key' | tr '\t' ' '; }
parts_match() { cat "$work/large" "$work/small" | cmp - "$work/got"; }

# --- aws s3 -----------------------------------------------------------------------------------------

head -c 100000 /dev/urandom >"$work/small"
head -c 9000000 /dev/urandom >"$work/large" # over the CLI's multipart threshold
mkdir -p "$work/tree/sub/deep" "$work/back"
for n in 1 2 3; do echo "$n" >"$work/tree/$n.txt"; echo "$n" >"$work/tree/sub/deep/ü $n+.txt"; done

check "s3 mb" s3 mb "s3://$bucket"
check "s3 ls" lists_bucket
check "s3 cp up" s3 cp "$work/small" "s3://$bucket/small"
check "s3 cp up in parts" s3 cp "$work/large" "s3://$bucket/large"
check "s3 cp down" s3 cp "s3://$bucket/small" "$work/small.back"
check "s3 cp down in parts" s3 cp "s3://$bucket/large" "$work/large.back"
check "what went up comes down" cmp "$work/small" "$work/small.back"
check "what went up in parts comes down" cmp "$work/large" "$work/large.back"
check "s3 cp from stdin" put_piped
gives "s3 cp to stdout" piped s3 cp "s3://$bucket/piped" -
check "s3 cp within" s3 cp "s3://$bucket/small" "s3://$bucket/copies/small"
check "s3 cp within, in parts" s3 cp "s3://$bucket/large" "s3://$bucket/copies/large"
check "s3 mv" s3 mv "s3://$bucket/copies/small" "s3://$bucket/moved"
check "s3 sync up" s3 sync "$work/tree" "s3://$bucket/tree"
gives "s3 sync up again does nothing" "" s3 sync "$work/tree" "s3://$bucket/tree"
check "s3 sync down" s3 sync "s3://$bucket/tree" "$work/back"
check "what was synced is identical" diff -r "$work/tree" "$work/back"
rm "$work/tree/1.txt"
check "s3 sync --delete" s3 sync --delete "$work/tree" "s3://$bucket/tree"
check "s3 ls --recursive" s3 ls --recursive --summarize "s3://$bucket/"
url=$(s3 presign "s3://$bucket/piped" || true)
gives "s3 presign" piped curl -fsS "$url"
check "s3 rm" s3 rm "s3://$bucket/moved"
check "s3 rm --recursive" s3 rm --recursive "s3://$bucket/tree"
refuses "s3 rb of a bucket that is not empty" BucketNotEmpty s3 rb "s3://$bucket"
check "s3 rb --force" s3 rb --force "s3://$bucket"

# --- aws s3api: buckets -------------------------------------------------------------------------------

check CreateBucket api create-bucket --bucket "$bucket"
check "CreateBucket of a second" api create-bucket --bucket "$second" --object-ownership ObjectWriter
gives ListBuckets "$bucket" field list-buckets --query "Buckets[?Name=='$bucket'].Name"
check HeadBucket api head-bucket --bucket "$bucket"
gives GetBucketLocation None field get-bucket-location --bucket "$bucket" --query LocationConstraint
check PutBucketAcl api put-bucket-acl --bucket "$second" --acl private
gives GetBucketAcl FULL_CONTROL field get-bucket-acl --bucket "$second" --query 'Grants[].Permission'
check PutBucketTagging api put-bucket-tagging --bucket "$bucket" --tagging 'TagSet=[{Key=a,Value=1}]'
gives GetBucketTagging 1 field get-bucket-tagging --bucket "$bucket" --query 'TagSet[].Value'
check DeleteBucketTagging api delete-bucket-tagging --bucket "$bucket"
refuses "GetBucketTagging of none" NoSuchTagSet api get-bucket-tagging --bucket "$bucket"

# --- aws s3api: objects -------------------------------------------------------------------------------

check PutObject api put-object --bucket "$bucket" --key small --body "$work/small" --metadata a=1
check GetObject api get-object --bucket "$bucket" --key small "$work/got"
check "what was put is got" cmp "$work/small" "$work/got"
gives HeadObject 100000 field head-object --bucket "$bucket" --key small --query ContentLength
gives GetObjectAttributes 100000 \
    field get-object-attributes --bucket "$bucket" --key small --object-attributes ObjectSize --query ObjectSize
check CopyObject api copy-object --bucket "$bucket" --key copy --copy-source "$bucket/small"
gives ListObjectsV2 "copy small" keys
check ListObjects api list-objects --bucket "$bucket"
gives ListObjectVersions null \
    field list-object-versions --bucket "$bucket" --prefix small --query 'Versions[].VersionId'
check PutObjectTagging api put-object-tagging --bucket "$bucket" --key small --tagging 'TagSet=[{Key=a,Value=1}]'
gives GetObjectTagging 1 field get-object-tagging --bucket "$bucket" --key small --query 'TagSet[].Value'
check DeleteObjectTagging api delete-object-tagging --bucket "$bucket" --key small
check "PutObject for ACLs" api put-object --bucket "$second" --key k --body "$work/small"
check PutObjectAcl api put-object-acl --bucket "$second" --key k --acl bucket-owner-full-control
gives GetObjectAcl FULL_CONTROL field get-object-acl --bucket "$second" --key k --query 'Grants[].Permission'
check DeleteObject api delete-object --bucket "$bucket" --key copy
refuses "GetObject of none" NoSuchKey api get-object --bucket "$bucket" --key copy "$work/none"

# --- aws s3api: multipart -------------------------------------------------------------------------------

upload=$(field create-multipart-upload --bucket "$bucket" --key parts --query UploadId || true)
check CreateMultipartUpload test -n "$upload"
of=(--bucket "$bucket" --key parts --upload-id "$upload")
check "PutObject of a source" api put-object --bucket "$bucket" --key source --body "$work/large"
one=$(field upload-part-copy "${of[@]}" --part-number 1 --copy-source "$bucket/source" \
    --query CopyPartResult.ETag || true)
check UploadPartCopy test -n "$one"
two=$(field upload-part "${of[@]}" --part-number 2 --body "$work/small" --query ETag || true)
check UploadPart test -n "$two"
gives ListParts 2 field list-parts "${of[@]}" --query 'length(Parts)'
gives ListMultipartUploads parts field list-multipart-uploads --bucket "$bucket" --query 'Uploads[].Key'
printf '{"Parts": [{"PartNumber": 1, "ETag": %s}, {"PartNumber": 2, "ETag": %s}]}' "$one" "$two" \
    >"$work/parts.json"
check CompleteMultipartUpload api complete-multipart-upload "${of[@]}" --multipart-upload "file://$work/parts.json"
check "the parts are got" api get-object --bucket "$bucket" --key parts "$work/got"
check "the parts are one object" parts_match
upload=$(field create-multipart-upload --bucket "$bucket" --key aborted --query UploadId || true)
check AbortMultipartUpload \
    api abort-multipart-upload --bucket "$bucket" --key aborted --upload-id "$upload"

check DeleteObjects api delete-objects --bucket "$bucket" \
    --delete '{"Objects": [{"Key": "small"}, {"Key": "parts"}, {"Key": "source"}]}'
check DeleteBucket api delete-bucket --bucket "$bucket"
refuses "HeadBucket of none" 404 api head-bucket --bucket "$bucket"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
