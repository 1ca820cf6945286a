from bleepstore.testing.s3.areas.virtual_hosts import *
