-- Takes a user out whose place was given up, if it is still this one.
--
-- Keys:      1: the user's bucket.
-- Arguments: 1: the user, 2: the place.
-- Answer:    how many were taken out.
-- Cost:      O(1).
local had = redis.call('HGET', KEYS[1], ARGV[1])
if had and struct.unpack('>l', had) == tonumber(ARGV[2]) then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
