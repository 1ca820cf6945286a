from bleepstore.testing.s3.areas.objects import *
