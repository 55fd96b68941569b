"""Objects in a bucket of any service that speaks S3: Amazon's, Ceph's, Swift's, versitygw, SeaweedFS."""
