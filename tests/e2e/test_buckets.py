from bleepstore.testing.s3.areas.buckets import *
