package rfc

var hopByHopRules = []rule{}
