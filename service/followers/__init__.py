"""Follower exports: the stored rows and the formats they are downloaded in."""
