from bleepstore.testing.s3.areas.tagging import *
