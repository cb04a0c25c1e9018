package accesstoken

var Freshness = freshness
