-- A place for each entrant, in this order: the one that the user has, else the next of the block.
--
-- Keys:      1: the room. Then for each entrant the bucket of users that theirs belongs to.
-- Arguments: 1: the epoch, 2: the last place that the caller knows to be handed out in it, 3: the share of maxmemory
--            beyond which no new place is handed out, as keys may be evicted; or nothing. Then for each entrant: the
--            user, the token's id and time (24 bytes, as they are kept), and the place that may be replaced, or nothing.
-- Answer:    {issued, block end, why new places are refused, or nothing}, then for each entrant: a number (a new place),
--            32 bytes (the place they had, with its token), or nothing (the block is used up, or new places are
--            refused). -1 if the room is not open in this epoch, for this life of the data, or lost places.
-- Cost:      O(1) each; a bucket has some tens of users. Two INFO a call: the run id names this life of the server, the
--            replication id changes when a server that was a replica becomes a primary, with whatever data it has.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local line = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
local room = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'line', 'issued', 'end')
if room[1] ~= ARGV[1] or room[2] ~= run or room[3] ~= line or tonumber(room[4]) < tonumber(ARGV[2]) then
  return -1
end
local issued, block_end, refused = tonumber(room[4]), tonumber(room[5]), ''
if ARGV[3] ~= '' then
  local memory = redis.call('INFO', 'memory')
  local used, max = string.match(memory, 'used_memory:(%d+)'), string.match(memory, 'maxmemory:(%d+)')
  if tonumber(max) > 0 and tonumber(used) > tonumber(max) * tonumber(ARGV[3]) then
    refused = 'Redis is nearly full and its maxmemory-policy evicts keys'
  end
end
-- First decide, then write: the counter before the users, so that no number is ever handed out twice, even if a later
-- command of this script fails.
local answer, fresh, numbers = {}, {}, {}
for number = 2, #KEYS do
  local at = 3 * number - 2
  local user, token, replacing = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local had = fresh[user] or redis.call('HGET', KEYS[number], user)
  if had and replacing ~= '' and struct.unpack('>l', had) == tonumber(replacing) then
    had = false
  end
  if had then
    answer[number - 1] = had
  elseif refused == '' and issued < block_end then
    issued = issued + 1
    fresh[user] = struct.pack('>l', issued) .. token
    numbers[number] = issued
    answer[number - 1] = issued
  else
    answer[number - 1] = ''
  end
end
if next(numbers) then
  local written = redis.pcall('HSET', KEYS[1], 'issued', string.format('%.0f', issued))
  if type(written) == 'table' and written.err then
    -- Nothing was written. Users who have a place get it all the same.
    refused, issued = written.err, tonumber(room[4])
    for number = 2, #KEYS do
      local at = 3 * number - 2
      local had = redis.call('HGET', KEYS[number], ARGV[at])
      if had and ARGV[at + 2] ~= '' and struct.unpack('>l', had) == tonumber(ARGV[at + 2]) then
        had = false
      end
      answer[number - 1] = had or ''
    end
  else
    for number, place in pairs(numbers) do
      local at = 3 * number - 2
      redis.call('HSET', KEYS[number], ARGV[at], struct.pack('>l', place) .. ARGV[at + 1])
    end
  end
end
return {issued, block_end, refused, unpack(answer)}
