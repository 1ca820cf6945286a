from bleepstore.testing.s3.areas.unconfigured import *
