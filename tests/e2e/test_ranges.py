from bleepstore.testing.s3.areas.ranges import *
