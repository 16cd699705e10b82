package rfc

var targetRules = []rule{}
