"""Amazon Web Services."""

from perdure.integrations.aws import boto3_client

__all__ = ["boto3_client"]
