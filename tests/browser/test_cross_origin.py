"""S3-CHECKLIST 45: pages of another origin, in a real browser, which alone decides what they may.

Authority: the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol), and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

import hashlib
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

MIB = 1024 * 1024
FETCH = "return await ask(arguments[0], arguments[1])"
REFUSED = {"refused": "TypeError"}
"""All that a script learns where the rules do not let it read a reply."""
PIXEL = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
FILL = """
    const data = new FormData();
    for (const [name, value] of Object.entries(arguments[1])) data.append(name, value);
    data.append("file", new Blob([arguments[2]], {type: "text/plain"}), "a name.txt");
    return await ask(arguments[0], {method: "POST", body: data});
"""


@pytest.fixture
def page(browser, app):
    """The browser shows an empty page of the site that may."""
    browser.go(app.make())
    return browser


@pytest.fixture
def foreign(browser, elsewhere):
    """The browser shows an empty page of the site that may not."""
    browser.go(elsewhere.make())
    return browser


@pytest.fixture
def presigned(s3, bucket):
    """``presigned(method, key="k", bucket=bucket, **parameters)``: a URL."""

    def make(method, key="k", bucket=bucket, **parameters):
        operation = {"GET": "get_object", "PUT": "put_object", "DELETE": "delete_object"}[method]
        return s3.generate_presigned_url(operation, {"Bucket": bucket, "Key": key, **parameters})

    return make


def names(s3, bucket):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


# --- what the rules allow ---------------------------------------------------------------------------------


def test_a_page_uploads_by_a_presigned_put_and_reads_its_etag(page, s3, bucket, presigned):
    url = presigned("PUT", "a key+ü.txt", ContentType="text/x-page", Metadata={"from": "a page"})
    headers = {"Content-Type": "text/x-page", "x-amz-meta-from": "a page"}
    answer = page.run(FETCH, url, {"method": "PUT", "headers": headers, "body": "content"})
    stored = s3.get_object(Bucket=bucket, Key="a key+ü.txt")
    assert answer["status"] == 200
    assert answer["headers"]["etag"] == stored["ETag"]
    assert stored["Body"].read() == b"content"
    assert (stored["ContentType"], stored["Metadata"]) == ("text/x-page", {"from": "a page"})


def test_a_page_uploads_a_large_blob_and_sees_its_progress(page, s3, bucket, presigned):
    script = """
        const [url, size] = arguments;
        const bytes = new Uint8Array(size).map((_, n) => n % 251);
        let seen = 0;
        const status = await new Promise((done, failed) => {
          const request = new XMLHttpRequest();
          request.open("PUT", url);
          request.upload.onprogress = (event) => { seen = event.loaded; };
          request.onload = () => done(request.status);
          request.onerror = () => failed(new Error("refused"));
          request.send(new Blob([bytes]));
        });
        return [status, seen];
    """
    assert page.run(script, presigned("PUT"), 20 * MIB) == [200, 20 * MIB]
    stored = hashlib.md5(s3.get_object(Bucket=bucket, Key="k")["Body"].read()).hexdigest()
    assert stored == hashlib.md5((bytes(range(251)) * (20 * MIB // 251 + 1))[: 20 * MIB]).hexdigest()


def test_a_page_uploads_the_parts_of_an_object(page, s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    parts = []
    for number, size in ((1, 5 * MIB), (2, 10)):
        given = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": number}
        url = s3.generate_presigned_url("upload_part", given)
        script = "return await ask(arguments[0], {method: 'PUT', body: 'x'.repeat(arguments[1])})"
        parts.append({"PartNumber": number, "ETag": page.run(script, url, size)["headers"]["etag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 5 * MIB + 10


def test_a_page_uploads_by_a_form_that_it_fills(page, s3, bucket):
    """S3-CHECKLIST 15."""
    wanted = {"success_action_status": "201", "Content-Type": "text/plain", "x-amz-meta-from": "ü"}
    conditions = [{name: value} for name, value in wanted.items()] + [["content-length-range", 1, 100]]
    form = s3.generate_presigned_post(bucket, "up/${filename}", wanted, conditions)
    answer = page.run(FILL, form["url"], form["fields"], "content")
    assert answer["status"] == 201, answer
    stored = s3.get_object(Bucket=bucket, Key="up/a name.txt")
    assert stored["Body"].read() == b"content"
    assert answer["headers"]["etag"] == stored["ETag"]
    assert "<Key>up/a name.txt</Key>" in answer["text"]


def test_a_form_of_a_page_without_scripts_leads_back_to_the_site(browser, app, s3, bucket, tmp_path: Path):
    """S3-CHECKLIST 15: a plain form needs no rule, it is no request of a script."""
    done = app.make("done")
    form = s3.generate_presigned_post(
        bucket, "${filename}", {"success_action_redirect": done}, [{"success_action_redirect": done}]
    )
    fields = "".join(f"<input type=hidden name='{n}' value='{v}'>" for n, v in form["fields"].items())
    fields += "<input type=file name=file><input type=submit>"
    file = tmp_path / "Größe 1+1.bin"
    file.write_bytes(bytes(range(256)) * 1000)
    browser.go(
        app.make(f"<form action='{form['url']}' method=post enctype=multipart/form-data>{fields}</form>")
    )
    browser.choose_file("input[type=file]", file)
    browser.click_until("input[type=submit]", done + "?")
    stored = s3.get_object(Bucket=bucket, Key=file.name)
    assert stored["Body"].read() == file.read_bytes()
    found = {name: values[0] for name, values in parse_qs(urlsplit(browser.url).query).items()}
    assert found == {"bucket": bucket, "key": file.name, "etag": stored["ETag"]}


def test_a_page_reads_an_object_and_the_headers_that_are_exposed(page, s3, bucket, presigned):
    made = s3.put_object(Bucket=bucket, Key="k", Body=b"content", Metadata={"from": "here", "other": "x"})
    answer = page.run(FETCH, presigned("GET"), {})
    assert (answer["status"], answer["type"], answer["text"]) == (200, "cors", "content")
    assert answer["headers"]["etag"] == made["ETag"]
    assert answer["headers"]["x-amz-meta-from"] == "here"
    assert not {"x-amz-meta-other", "x-amz-request-id", "server"} & answer["headers"].keys()


def test_a_page_reads_a_range(page, s3, bucket, presigned):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    answer = page.run(FETCH, presigned("GET"), {"headers": {"Range": "bytes=2-4"}})
    assert (answer["status"], answer["text"]) == (206, "234")
    assert answer["headers"]["content-range"] == "bytes 2-4/10"


def test_a_header_that_a_page_adds_is_asked_about_first(page, s3, bucket, presigned):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    answer = page.run(FETCH, presigned("GET"), {"headers": {"x-page": "1"}})
    assert (answer["status"], answer["text"]) == (200, "content")


def test_a_page_reads_with_its_credentials_where_the_rule_names_its_origin(page, s3, bucket, presigned):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    assert page.run(FETCH, presigned("GET"), {"credentials": "include"})["text"] == "content"


def test_a_page_reads_why_it_was_refused(page, bucket, presigned):
    answer = page.run(FETCH, presigned("GET") + "0", {})
    assert answer["status"] == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in answer["text"]
    assert page.run(FETCH, presigned("GET", "missing"), {})["status"] == 404


def test_what_one_site_has_in_its_cache_is_not_taken_for_another(
    browser, app, elsewhere, s3, make_bucket, presigned
):
    both = make_bucket({"AllowedOrigins": [app.origin, elsewhere.origin], "AllowedMethods": ["GET"]})
    s3.put_object(Bucket=both, Key="k", Body=b"content", CacheControl="max-age=3600")
    url = presigned("GET", bucket=both)
    for pages in (app, elsewhere, app):
        browser.go(pages.make())
        assert browser.run(FETCH, url, {})["text"] == "content"


def test_an_image_that_was_shown_can_be_read_too(page, s3, bucket, presigned):
    """What the browser got for the image, without an Origin, is in its cache."""
    s3.put_object(Bucket=bucket, Key="k", Body=PIXEL, ContentType="image/gif", CacheControl="max-age=3600")
    script = """
        const image = new Image();
        image.src = arguments[0];
        await image.decode();
        const reply = await ask(arguments[0]);
        return [image.width, reply];
    """
    width, answer = page.run(script, presigned("GET"))
    assert (width, answer.get("status")) == (1, 200)


# --- what they do not -------------------------------------------------------------------------------------


def test_a_page_of_another_origin_may_not_read(foreign, s3, bucket, presigned):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    assert foreign.run(FETCH, presigned("GET"), {}) == REFUSED
    # It may ask without looking, as an <img> does: the answer stays closed to it.
    opaque = foreign.run(FETCH, presigned("GET"), {"mode": "no-cors"})
    assert (opaque["type"], opaque["status"], opaque["text"]) == ("opaque", 0, "")


def test_a_page_of_another_origin_may_not_write(foreign, s3, bucket, presigned):
    assert foreign.run(FETCH, presigned("PUT"), {"method": "PUT", "body": "x"}) == REFUSED
    assert names(s3, bucket) == []


def test_a_page_of_another_origin_does_not_read_what_its_form_did(foreign, s3, bucket):
    """A form needs no preflight, so who has a signed one may send it; S3 does the same."""
    form = s3.generate_presigned_post(bucket, "k")
    assert foreign.run(FILL, form["url"], form["fields"], "content") == REFUSED


def test_a_method_that_no_rule_allows_is_not_sent(page, s3, bucket, presigned):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    assert page.run(FETCH, presigned("DELETE"), {"method": "DELETE"}) == REFUSED
    assert names(s3, bucket) == ["k"]


def test_a_header_that_no_rule_allows_is_not_sent(page, s3, bucket, presigned):
    options = {"method": "PUT", "headers": {"x-amz-acl": "private"}, "body": "x"}
    assert page.run(FETCH, presigned("PUT"), options) == REFUSED
    assert names(s3, bucket) == []


def test_without_rules_a_page_may_neither_read_nor_write(page, s3, make_bucket, presigned):
    closed = make_bucket()
    s3.put_object(Bucket=closed, Key="k", Body=b"content")
    assert page.run(FETCH, presigned("GET", bucket=closed), {}) == REFUSED
    assert page.run(FETCH, presigned("PUT", "new", closed), {"method": "PUT", "body": "x"}) == REFUSED
    assert names(s3, closed) == ["k"]


def test_rules_that_are_deleted_hold_no_longer(page, s3, bucket, presigned):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    assert page.run(FETCH, presigned("GET"), {})["status"] == 200
    s3.delete_bucket_cors(Bucket=bucket)
    assert page.run(FETCH, presigned("GET"), {"cache": "no-store"}) == REFUSED


def test_who_allows_everybody_allows_no_credentials(foreign, s3, make_bucket, presigned):
    everybody = make_bucket({"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]})
    s3.put_object(Bucket=everybody, Key="k", Body=b"content")
    url = presigned("GET", bucket=everybody)
    assert foreign.run(FETCH, url, {})["text"] == "content"
    assert foreign.run(FETCH, url, {"credentials": "include"}) == REFUSED


def test_a_public_object_is_read_without_a_signature(page, s3, server, bucket):
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    assert page.run(FETCH, f"{server.url}/{bucket}/k", {})["text"] == "content"
