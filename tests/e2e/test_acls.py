from bleepstore.testing.s3.areas.acls import *
