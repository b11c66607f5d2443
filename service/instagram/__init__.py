"""What Instagram calls users and posts: usernames, ids, shortcodes."""
