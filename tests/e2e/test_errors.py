from bleepstore.testing.s3.areas.errors import *
