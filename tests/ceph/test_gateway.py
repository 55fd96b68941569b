"""RADOS Gateway is there for the tests that want an S3 server."""

from __future__ import annotations

import pytest

from servers.ceph import Gateway

boto3 = pytest.importorskip("boto3")


def test_it_keeps_an_object_for_a_client_of_others(rados_gateway: Gateway) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=rados_gateway.endpoint,
        aws_access_key_id=rados_gateway.access_key,
        aws_secret_access_key=rados_gateway.secret_key,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="k", Body=b"kept")
    assert client.get_object(Bucket="bucket", Key="k")["Body"].read() == b"kept"
    client.close()
