-- A place for each entrant, in this order: the one that the user has, else the next of the block.
--
-- Keys:      1: the room. Then for each entrant the bucket of users that theirs belongs to.
-- Arguments: 1: the epoch. Then for each entrant: the user, the token's id and time (24 bytes, as they are kept), and
--            the place that may be replaced, or nothing.
-- Answer:    {issued, block end}, then for each entrant: a number (a new place), 32 bytes (the place they had, with its
--            token), or nothing (the block is used up). -1 where the room is not open in this epoch.
-- Cost:      O(1) each; a bucket has some tens of users. One INFO a call, which names this life of the server.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local room = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'issued', 'end')
if room[1] ~= ARGV[1] or room[2] ~= run then
  return -1
end
local before = tonumber(room[3])
local issued, block_end = before, tonumber(room[4])
local answer = {0, block_end}
for number = 2, #KEYS do
  local at = 3 * number - 4
  local user, token, replacing = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local had = redis.call('HGET', KEYS[number], user)
  if had and replacing ~= '' and struct.unpack('>l', had) == tonumber(replacing) then
    had = false
  end
  if had then
    answer[#answer + 1] = had
  elseif issued < block_end then
    issued = issued + 1
    redis.call('HSET', KEYS[number], user, struct.pack('>l', issued) .. token)
    answer[#answer + 1] = issued
  else
    answer[#answer + 1] = ''
  end
end
if issued > before then
  redis.call('HSET', KEYS[1], 'issued', string.format('%.0f', issued))
end
answer[1] = issued
return answer
