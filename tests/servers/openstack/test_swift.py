"""The Swift of the tests does what the stores need of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import boto3
import httpx2 as httpx
import pytest
from botocore.config import Config

from servers.mortal import MortalServer
from servers.openstack.swift import Swift


def test_it_speaks_swift_with_segments_and_temporary_urls(swift: Swift) -> None:
    container = swift.container()
    headers = {"X-Auth-Token": swift.token()}
    with httpx.Client(headers=headers, trust_env=False, timeout=60) as client:
        manifest = []
        for number in range(2):
            data = bytes([number]) * 1000
            client.put(f"{swift.storage_url}/{container}/part/{number}", content=data).raise_for_status()
            manifest.append({"path": f"/{container}/part/{number}", "etag": hashlib.md5(data).hexdigest()})
        whole = f"{swift.storage_url}/{container}/whole"
        client.put(f"{whole}?multipart-manifest=put", content=json.dumps(manifest)).raise_for_status()
        assert client.get(whole, headers={"Range": "bytes=998-1001"}).content == b"\0\0\1\1"
        assert client.get(f"{swift.storage_url}/{container}").text.split() == ["part/0", "part/1", "whole"]
        swift.ask("POST", X_Account_Meta_Temp_URL_Key="key")
        path, expires = whole.removeprefix(swift.url), int(time.time()) + 60
        signature = hmac.new(b"key", f"GET\n{expires}\n{path}".encode(), hashlib.sha256).hexdigest()
    signed = f"{whole}?temp_url_sig={signature}&temp_url_expires={expires}"
    assert httpx.get(signed, trust_env=False).content == bytes(1000) + b"\1" * 1000
    assert httpx.get(whole, trust_env=False).status_code == 401


def test_it_speaks_s3_with_multipart_uploads(swift: Swift) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=swift.s3_url,
        region_name=swift.region,
        aws_access_key_id=swift.writer.name,
        aws_secret_access_key=swift.writer.key,
        config=Config(request_checksum_calculation="when_required", response_checksum_validation="when_required"),
    )
    bucket = swift.container()
    upload = client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    parts = []
    for number, size in ((1, 5 << 20), (2, 3)):
        answer = client.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=b"x" * size)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert client.head_object(Bucket=bucket, Key="k")["ContentLength"] == (5 << 20) + 3
    client.close()


def test_a_reader_may_do_what_a_container_grants(swift: Swift) -> None:
    open_container, closed = swift.container(X_Container_Read=swift.reader.name), swift.container()
    swift.ask("PUT", f"{open_container}/k")
    headers = {"X-Auth-Token": swift.token(swift.reader)}
    for container, method, status in ((open_container, "GET", 200), (open_container, "PUT", 403), (closed, "GET", 403)):
        url = f"{swift.storage_url}/{container}/k"
        assert httpx.request(method, url, headers=headers, trust_env=False).status_code == status


@pytest.mark.slow
def test_it_comes_back_with_its_objects_after_it_was_killed(mortal_swift: tuple[Swift, MortalServer]) -> None:
    swift, mortal = mortal_swift
    container = swift.container()
    swift.ask("PUT", f"{container}/k")
    mortal.kill()
    with pytest.raises(httpx.TransportError):
        swift.token()
    mortal.start()
    assert swift.ask("GET", container).text == "k\n"
