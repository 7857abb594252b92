-- Returns the place that a user has. Hands none out.
--
-- Keys:      1: the bucket of the user.
-- Arguments: 1: the user.
-- Answer:    32 bytes (the place and its token), or empty.
-- Cost:      O(1).
return redis.call('HGET', KEYS[1], ARGV[1]) or ''
