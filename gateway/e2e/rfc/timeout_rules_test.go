package rfc

var timeoutRules = []rule{}
