from bleepstore.testing.s3.areas.conditions import *
