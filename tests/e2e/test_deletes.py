from bleepstore.testing.s3.areas.deletes import *
