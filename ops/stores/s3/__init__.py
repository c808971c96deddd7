"""The store `s3`: a bucket of any server that speaks S3. boto3 is imported only where it is used."""
