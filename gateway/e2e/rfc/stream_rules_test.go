package rfc

var streamRules = []rule{}
