from bleepstore.testing.s3.areas.policies import *
