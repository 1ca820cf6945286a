"""Who asks, and what they may: Signature Version 4, accounts, and access control lists."""
